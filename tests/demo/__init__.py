"""The demonstration behind ``make demo``: from nothing to trained models on a Kubernetes of this machine."""
