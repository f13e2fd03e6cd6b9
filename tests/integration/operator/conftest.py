"""Fixtures for tests of the operator: the TrainingJob API, and the operator as a process."""

import pytest
from kubernetes.client import CustomObjectsApi

from cluster.clusters import Cluster
from support.operator_process import apply_training_job_api, fleets, jobs, operator, operator_kubeconfig

__all__ = ["fleets", "jobs", "operator", "operator_kubeconfig", "training_job_api"]


@pytest.fixture(scope="session")
def training_job_api(cluster: Cluster) -> None:
    """Applies the CRD and waits until the API server serves it."""
    apply_training_job_api(cluster)


@pytest.fixture(scope="session")
def objects(cluster: Cluster) -> CustomObjectsApi:
    """A client for TrainingJobs, with the rights of an administrator."""
    return CustomObjectsApi(cluster.client())
