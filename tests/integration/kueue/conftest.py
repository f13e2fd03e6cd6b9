"""Fixtures for tests of the operator beside Kueue."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from cluster.control_plane import ControlPlane
from cluster.fixtures import binaries_of, unavailable
from cluster.programs import ProgramError
from peers.fixtures import cluster, control_plane, operator, require, training_job_api
from peers.kueue import Kueue, Queue, built_kueue, kueue_running
from support.operator_process import fleets, jobs, operator_kubeconfig

__all__ = ["cluster", "control_plane", "fleets", "jobs", "operator", "operator_kubeconfig", "training_job_api"]

_COMPONENT = Path(__file__).parents[3] / "manifests" / "components" / "kueue"


@pytest.fixture(scope="session")
def kueue(
    cluster_kind: str, cluster: Cluster, control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kueue]:
    """Kueue, whose Workloads the operator may read."""
    require("go")
    if os.geteuid() != 0:
        unavailable("Kueue reads a certificate from /etc, which only root can put there")
    try:
        built = built_kueue()
    except ProgramError as error:
        unavailable(f"Kueue cannot be compiled: {error}")
    folder = tmp_path_factory.mktemp("kueue")
    with kueue_running(control_plane, binaries_of(cluster_kind), built, folder) as running:
        cluster.run_kubectl("apply", "--server-side", f"--filename={_COMPONENT / 'workload_reader.yaml'}")
        yield running


@pytest.fixture
def queue(cluster: Cluster, kueue: Kueue, namespace: str) -> Queue:
    """The queue of the test's namespace, which does not exist yet."""
    return Queue(cluster, namespace)
