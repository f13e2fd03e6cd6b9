"""The local cluster that tests and demo run on: Kubernetes, PostgreSQL and S3 from package registries alone."""
