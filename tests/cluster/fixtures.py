"""pytest fixtures for the test bed. Servers run for the test session; objects in them exist for one test."""

import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from kubernetes.client import ApiException, CoreV1Api, V1Namespace, V1ObjectMeta

from cluster import host
from cluster.bed import Bed, bed_running
from cluster.binaries import Binaries, built_binaries, existing_binaries, go_program
from cluster.clusters import (
    CONTROLLERS,
    KINDS,
    Cluster,
    ClusterUnavailableError,
    choose_kind,
    cluster_of,
    existing_cluster,
)
from cluster.control_plane import control_plane_running
from cluster.existing import existing_bed
from cluster.object_store import ObjectStore, object_store_running
from cluster.postgres import Database, PostgresServer, postgres_running
from cluster.processes import wait_until
from cluster.programs import run_program
from cluster.prometheus import prometheus_programs
from cluster.simulated_node import SimulatedNode, simulated_node_registered
from cluster.traces import left, traces


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the choice of the cluster."""
    parser.addoption(
        "--cluster",
        choices=["auto", *KINDS],
        default="auto",
        help="the Kubernetes to test on: existing (USE_EXISTING_CLUSTER=true and KUBECONFIG), assets "
        "(KUBEBUILDER_ASSETS), build (compiled here by Go), auto (the first of these that can be had)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker, and shows the progress of slow steps on the terminal."""
    config.addinivalue_line("markers", "needs(*capabilities): what the cluster must have: controllers, node")
    logger = logging.getLogger("cluster")
    logger.setLevel(logging.INFO)
    logger.addHandler(_Terminal(config))


class _Terminal(logging.Handler):
    """Writes to the terminal even while pytest captures output."""

    def __init__(self, config: pytest.Config) -> None:
        super().__init__()
        self._plugins = config.pluginmanager

    def emit(self, record: logging.LogRecord) -> None:
        terminal = self._plugins.get_plugin("terminalreporter")
        capturing = self._plugins.get_plugin("capturemanager")
        if capturing is None:
            return
        line = f"==> {self.format(record)}"
        with capturing.global_and_fixture_disabled():
            if terminal is None:
                # A process of pytest-xdist has no terminal, but shares standard error with its parent.
                sys.stderr.write(f"\n{line}\n")
                sys.stderr.flush()
            else:
                terminal.ensure_newline()
                terminal.write_line(line)


def unavailable(reason: str) -> NoReturn:
    """Skips the test for a reason; in CI it fails."""
    # In CI a run that skips tests must not pass.
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def cluster_kind(pytestconfig: pytest.Config) -> str:
    """The kind of cluster to test on."""
    try:
        return choose_kind(pytestconfig.getoption("--cluster"), os.environ, has_go=go_program() is not None)
    except ClusterUnavailableError as error:
        unavailable(str(error))


def binaries_of(cluster_kind: str) -> Binaries:
    """The programs of a control plane that this process starts."""
    assets = os.environ.get("KUBEBUILDER_ASSETS", "")
    return existing_binaries(Path(assets)) if cluster_kind == "assets" else built_binaries()


@pytest.fixture(scope="session")
def cluster(cluster_kind: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A Kubernetes API server with its controllers; without a node unless the cluster exists already."""
    if cluster_kind == "existing":
        yield existing_cluster(os.environ)
        return
    binaries = binaries_of(cluster_kind)
    with control_plane_running(tmp_path_factory.mktemp("cluster"), binaries) as control_plane:
        yield cluster_of(control_plane, binaries)


@pytest.fixture(scope="session")
def bed(cluster_kind: str) -> Iterator[Bed]:
    """The whole test bed, with a node, the project's images, PostgreSQL and S3 that pods reach.

    A local test bed is removed completely at the end. An existing cluster must already have the images.
    """
    if cluster_kind == "existing":
        try:
            yield existing_bed(existing_cluster(os.environ), os.environ)
        except ClusterUnavailableError as error:
            unavailable(str(error))
        return
    if cluster_kind != "build":
        unavailable("binaries of a control plane make no node: --cluster=build or --cluster=existing")
    with contextlib.ExitStack() as running:
        try:
            # An earlier run that was killed may have left something.
            host.recover()
            before = traces()
            bed = running.enter_context(bed_running())
        except ClusterUnavailableError as error:
            unavailable(str(error))
        yield bed
    assert left(before, traces()) == []


@pytest.fixture(autouse=True)
def _needs(request: pytest.FixtureRequest) -> None:
    """Skips a test, or fails it in CI, if the cluster lacks a capability that its marker names."""
    marker = request.node.get_closest_marker("needs")
    if marker is not None:
        missing = set(marker.args) - request.getfixturevalue("cluster").capabilities
        if missing:
            unavailable(f"the cluster has no {' and no '.join(sorted(missing))}")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a new namespace, ready for pods; what is in it is deleted after the test, in the background."""
    name = f"test-{secrets.token_hex(4)}"
    core = CoreV1Api(cluster.client())
    core.create_namespace(V1Namespace(metadata=V1ObjectMeta(name=name)))
    if CONTROLLERS in cluster.capabilities:
        wait_until(lambda: _is_ready_for_pods(core, name), f"namespace {name} has its service account")
    yield name
    core.delete_namespace(name)


def _is_ready_for_pods(core: CoreV1Api, namespace: str) -> bool:
    try:
        core.read_namespaced_service_account("default", namespace)
        core.read_namespaced_config_map("kube-root-ca.crt", namespace)
    except ApiException as error:
        if error.status == 404:
            return False
        raise
    return True


@pytest.fixture
def simulated_node(cluster: Cluster) -> Iterator[SimulatedNode]:
    """A node that takes every pod; the test sets the status of its pods."""
    with simulated_node_registered(cluster.client()) as node:
        yield node


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server on loopback."""
    with postgres_running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A new, empty database."""
    dbname = f"test_{secrets.token_hex(4)}"
    yield postgres_server.create_database(dbname)
    postgres_server.drop_database(dbname)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3 server on loopback."""
    with object_store_running(tmp_path_factory.mktemp("objects")) as store:
        yield store


@pytest.fixture(scope="session")
def prometheus() -> Binaries:
    """The programs prometheus and promtool."""
    try:
        return prometheus_programs()
    except ClusterUnavailableError as error:
        unavailable(str(error))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a separate disk of 64 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        unavailable("a small disk needs root, who may mount one")
    run_program(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder])
    yield folder
    run_program(["umount", "--lazy", folder])


@pytest.fixture
def bucket(object_store: ObjectStore) -> Iterator[str]:
    """The name of a new, empty bucket."""
    name = f"test-{secrets.token_hex(4)}"
    object_store.create_bucket(name)
    yield name
    object_store.drop_bucket(name)
