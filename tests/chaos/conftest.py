"""Control planes of their own for the tests under faults, which stop them and read their audit log."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.binaries import built_binaries
from cluster.clusters import Cluster, cluster_of
from cluster.control_plane import ControlPlane, control_plane_running
from cluster.fixtures import unavailable
from cluster.processes import Server
from support.chaos.audit import audit_options
from support.operator_process import apply_training_job_api, write_operator_kubeconfig


@pytest.fixture(scope="module")
def control_plane(cluster_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane that a test may stop, with an audit log in its folder."""
    if cluster_kind != "build":
        unavailable("the tests under faults stop the API server, and need one that is built here: --cluster=build")
    folder = tmp_path_factory.mktemp("chaos")
    with control_plane_running(folder, built_binaries(), api_server_options=audit_options(folder)) as running:
        yield running


@pytest.fixture(scope="module")
def started_servers(control_plane: ControlPlane) -> Iterator[list[Server]]:
    """The servers of the control plane that a test has started again; they end before the others."""
    started: list[Server] = []
    yield started
    for server in started:
        server.stop(by=signal.SIGKILL)


@pytest.fixture(scope="module")
def cluster(control_plane: ControlPlane) -> Cluster:
    """The cluster of that control plane."""
    return cluster_of(control_plane, built_binaries())


@pytest.fixture(scope="module")
def operator_kubeconfig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A kubeconfig of the operator; the TrainingJob API is applied before."""
    apply_training_job_api(cluster)
    return write_operator_kubeconfig(cluster, tmp_path_factory.mktemp("operator"))
