"""Cleans telemetry, prepares datasets and cuts them into windows. No I/O."""
