"""The servers that tests use with a cluster that exists already."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from kubernetes.client import CoreV1Api, V1Node, V1ObjectMeta

from cluster.bed import Bed
from cluster.clusters import Cluster, ClusterUnavailableError
from cluster.existing import existing_bed, variables
from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer

OVERLAY = Path(__file__).parents[2] / "manifests" / "overlays" / "kind"
POSTGRES = PostgresServer("10.1.2.3", 5432, "admin", "secret")
STORE = ObjectStore("10.1.2.3:9000", "key", "secret key")


def test_servers_in_the_environment_variables_are_used(cluster: Cluster) -> None:
    bed = Bed(cluster, POSTGRES, STORE)
    assert existing_bed(cluster, variables(bed)) == bed


@pytest.mark.parametrize("name", variables(Bed(None, POSTGRES, STORE)))  # type: ignore[arg-type]
def test_a_missing_variable_is_named(cluster: Cluster, name: str) -> None:
    environment = variables(Bed(cluster, POSTGRES, STORE)) | {name: ""}
    with pytest.raises(ClusterUnavailableError, match=f"^{name} must be set too"):
        existing_bed(cluster, environment)


def test_a_cluster_without_servers_is_refused_with_a_solution(cluster: Cluster) -> None:
    with pytest.raises(ClusterUnavailableError, match=r"set TEST_PGHOST, .* or apply manifests/overlays/kind"):
        existing_bed(cluster, {})


@pytest.fixture
def node(cluster: Cluster) -> Iterator[str]:
    """The address of a node."""
    core, name, address = CoreV1Api(cluster.client()), f"node-{secrets.token_hex(4)}", "10.20.30.40"
    core.create_node(V1Node(metadata=V1ObjectMeta(name=name)))
    addresses = [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]
    core.patch_node_status(name, {"status": {"addresses": addresses}})
    yield address
    core.delete_node(name)


@pytest.fixture
def overlay(cluster: Cluster) -> Iterator[dict[str, dict[str, str]]]:
    """The values of the Secrets of the overlay, whose Services and Secrets are in the cluster."""
    documents = list(yaml.safe_load_all(cluster.run_kubectl("kustomize", str(OVERLAY))))
    kinds = ("Namespace", "Service", "Secret")
    wanted = [each for each in documents if each["kind"] in kinds and "trainingjob-system" not in str(each["metadata"])]
    text = yaml.safe_dump_all(wanted)
    cluster.run_kubectl("apply", "--server-side", "--filename=-", stdin=text)
    yield {each["metadata"]["name"]: each["stringData"] for each in wanted if each["kind"] == "Secret"}
    cluster.run_kubectl("delete", "--wait=false", "--filename=-", stdin=text)


def test_the_servers_of_the_kind_overlay_are_used_by_node_address(
    cluster: Cluster, node: str, overlay: dict[str, dict[str, str]]
) -> None:
    bed = existing_bed(cluster, {})
    login, keys = overlay["trainingjob-database"], overlay["trainingjob-store"]
    ports = {bed.postgres_server.port, int(bed.object_store.endpoint.removeprefix(f"{node}:"))}
    assert bed.postgres_server.host == node
    assert (bed.postgres_server.user, bed.postgres_server.password) == (login["user"], login["password"])
    assert (bed.object_store.access_key, bed.object_store.secret_key) == (keys["accessKey"], keys["secretKey"])
    assert len(ports) == 2
    assert all(30000 <= port < 32768 for port in ports)
