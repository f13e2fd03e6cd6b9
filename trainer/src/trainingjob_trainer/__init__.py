"""Trainer of TrainingJobs: loads telemetry, trains one model, publishes and registers it."""
