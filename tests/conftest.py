"""Fixtures for every test: the local cluster and its servers."""

pytest_plugins = ["cluster.fixtures"]
