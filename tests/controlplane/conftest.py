"""The TrainingJob API on the API server, and the operator beside it, for every test here."""

import pytest

from api_schema import CRD_FILE
from cluster.clusters import Cluster
from operator_process import jobs, operator, operator_kubeconfig

__all__ = ["jobs", "operator", "operator_kubeconfig", "training_job_api"]


@pytest.fixture(scope="session")
def training_job_api(cluster: Cluster) -> None:
    """Applies the CRD and waits until the API server serves it."""
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", f"--filename={CRD_FILE}")
    cluster.run_kubectl("wait", "--for=condition=Established", "--timeout=60s", f"--filename={CRD_FILE}")
