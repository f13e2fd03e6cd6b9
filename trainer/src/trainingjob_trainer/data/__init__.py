"""Telemetry cleaned, prepared and cut into windows. No I/O."""
