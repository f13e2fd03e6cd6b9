"""PostgreSQL and S3: telemetry in, models and their registration out."""
