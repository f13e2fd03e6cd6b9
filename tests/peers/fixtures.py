"""Fixtures for tests with a peer: a control plane of their own, and one operator for all of its namespaces."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.clusters import Cluster, cluster_of
from cluster.control_plane import ControlPlane, control_plane_running
from cluster.fixtures import binaries_of, unavailable
from support.operator_process import Operator, apply_training_job_api


def require(*programs: str) -> None:
    """Skips the test if a program is not on PATH; in CI it fails."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        unavailable(f"not on PATH: {', '.join(missing)}")


@pytest.fixture(scope="session")
def control_plane(cluster_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that other tests do not share: a peer changes what happens in all namespaces."""
    if cluster_kind == "existing":
        unavailable("a peer is tested on a control plane of its own: --cluster=build")
    folder = tmp_path_factory.mktemp("cluster")
    with control_plane_running(folder, binaries_of(cluster_kind)) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(cluster_kind: str, control_plane: ControlPlane) -> Cluster:
    """The cluster of that control plane."""
    return cluster_of(control_plane, binaries_of(cluster_kind))


@pytest.fixture(scope="session")
def training_job_api(cluster: Cluster) -> None:
    """Applies the CRDs and waits until the API server serves them."""
    apply_training_job_api(cluster)


@pytest.fixture(scope="session")
def operator(operator_kubeconfig: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """The operator of all namespaces, which runs."""
    processes = Operator(operator_kubeconfig, "", tmp_path_factory.mktemp("operator"))
    processes.start()
    yield processes
    processes.stop()
