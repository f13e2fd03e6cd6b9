"""Programs that a cluster has beside the operator, compiled from their published Go modules: Argo CD and Kueue."""
