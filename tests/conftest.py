"""Fixtures for every test: the local cluster and its servers."""

import os

# As in the trainer: spinning OpenMP threads would make the tests of xgb take minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

pytest_plugins = ["cluster.fixtures", "support.distribution", "support.chaos.options"]
