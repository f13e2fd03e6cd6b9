"""What talks to the API server: watches, the cache, the work queue and the reconciler."""
