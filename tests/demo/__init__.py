"""The demonstration of ``make demo``: it trains models on a Kubernetes on this machine."""
