"""Access to PostgreSQL and S3: reads telemetry, stores models and registers them."""
