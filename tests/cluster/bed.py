"""The whole test bed on one machine: control plane, node, images, and PostgreSQL and S3 that its pods reach."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from cluster import host
from cluster.binaries import built_binaries
from cluster.clusters import Cluster, cluster_of
from cluster.container_runtime import load_images
from cluster.control_plane import SERVICE_ADDRESS, SERVICE_PORT, control_plane_running
from cluster.images import build_images, export_image
from cluster.node import node_running
from cluster.object_store import ObjectStore, object_store_running
from cluster.postgres import PostgresServer, postgres_running
from cluster.preflight import check_machine


@dataclass(frozen=True)
class Bed:
    """A running test bed. Its pods and this machine reach its servers at the same addresses."""

    cluster: Cluster
    postgres_server: PostgresServer
    object_store: ObjectStore


@contextlib.contextmanager
def bed_running() -> Iterator[Bed]:
    """Runs the test bed until the context ends, and then removes everything that it created.

    Raises:
        ClusterUnavailableError: it cannot run on this machine; the message says what is missing.
        ProgramError: a part did not come up.
    """
    check_machine()
    with contextlib.ExitStack() as running:
        running.enter_context(host.prepared())
        binaries = built_binaries()
        images = build_images()
        folder = host.FOLDER / "control-plane"
        folder.mkdir()
        control_plane = running.enter_context(control_plane_running(folder, binaries, SERVICE_ADDRESS, SERVICE_PORT))
        running.enter_context(node_running(control_plane, binaries))
        load_images(images, export_image)
        servers = host.FOLDER / "servers"
        servers.mkdir()
        postgres = running.enter_context(postgres_running(servers, host.BRIDGE_ADDRESS))
        objects = running.enter_context(object_store_running(servers, host.BRIDGE_ADDRESS))
        yield Bed(cluster_of(control_plane, binaries, has_node=True), postgres, objects)
