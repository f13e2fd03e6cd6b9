"""Fixtures for tests of the operator beside Argo CD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from cluster.fixtures import unavailable
from cluster.programs import ProgramError
from peers.applications import Application
from peers.argocd import ArgoCD, Repository, argocd_running, built_argocd
from peers.fixtures import cluster, control_plane, operator, require, training_job_api
from support.operator_process import fleets, jobs, operator_kubeconfig

__all__ = ["cluster", "control_plane", "fleets", "jobs", "operator", "operator_kubeconfig", "training_job_api"]


@pytest.fixture(scope="session")
def argocd(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArgoCD]:
    """Argo CD with the health and the actions of this project."""
    require("go", "git")
    try:
        built = built_argocd()
    except ProgramError as error:
        unavailable(f"Argo CD cannot be compiled: {error}")
    with argocd_running(cluster, built, tmp_path_factory.mktemp("argocd")) as running:
        yield running


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """An empty Git repository."""
    return Repository(tmp_path / "repository")


@pytest.fixture
def application(argocd: ArgoCD, repository: Repository, namespace: str) -> Iterator[Application]:
    """An Application of the test's namespace, which does not exist yet."""
    own = Application(argocd, repository, namespace)
    yield own
    if not own.is_gone():
        own.delete()
