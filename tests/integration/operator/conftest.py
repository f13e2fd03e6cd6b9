"""The TrainingJob API on the API server, and the operator beside it, for every test here."""

import pytest

from cluster.clusters import Cluster
from support.operator_process import apply_training_job_api, jobs, operator, operator_kubeconfig

__all__ = ["jobs", "operator", "operator_kubeconfig", "training_job_api"]


@pytest.fixture(scope="session")
def training_job_api(cluster: Cluster) -> None:
    """Applies the CRD and waits until the API server serves it."""
    apply_training_job_api(cluster)
