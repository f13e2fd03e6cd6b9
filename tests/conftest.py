"""Fixtures for every test: the local cluster and its servers."""

import os

# As the trainer sets it: OpenMP threads that spin while others compute make the tests of xgb take minutes.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

pytest_plugins = ["cluster.fixtures"]
