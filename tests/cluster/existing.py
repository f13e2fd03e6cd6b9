"""PostgreSQL and S3 of an existing cluster, from environment variables or from the kind overlay."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from cluster.bed import Bed
from cluster.clusters import Cluster, ClusterUnavailableError
from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer
from cluster.programs import ProgramError

_VARIABLES = (
    "TEST_PGHOST",
    "TEST_PGPORT",
    "TEST_PGUSER",
    "TEST_PGPASSWORD",
    "TEST_S3_ENDPOINT",
    "TEST_S3_ACCESS_KEY",
    "TEST_S3_SECRET_KEY",
)
_OVERLAY = "manifests/overlays/kind"


def existing_bed(cluster: Cluster, environment: Mapping[str, str]) -> Bed:
    """The test bed of an existing cluster, with servers that its pods and this machine reach at the same address.

    Args:
        cluster: With a node.
        environment: Of the process. `TEST_PG*` and `TEST_S3_*` name a PostgreSQL (its superuser) and an S3 server;
            without them, the cluster must have those of the kind overlay.

    Raises:
        ClusterUnavailableError: Some of the variables are missing, or all are and the overlay was not applied.
    """
    missing = [name for name in _VARIABLES if not environment.get(name)]
    if not missing:
        return Bed(cluster, *_servers_of_environment(environment))
    if len(missing) < len(_VARIABLES):
        raise ClusterUnavailableError(f"{', '.join(missing)} must be set too: TEST_PG* and TEST_S3_* go together")
    try:
        return Bed(cluster, *_servers_of_overlay(cluster))
    except ProgramError as error:
        raise ClusterUnavailableError(
            f"an existing cluster needs PostgreSQL and S3 that its pods reach: set {', '.join(_VARIABLES)}, or apply "
            f"{_OVERLAY} (`make kind-deploy`): {error}"
        ) from error


def variables(bed: Bed) -> dict[str, str]:
    """The environment from which `existing_bed` makes the same bed."""
    postgres, store = bed.postgres_server, bed.object_store
    values = (postgres.host, str(postgres.port), postgres.user, postgres.password)
    return dict(zip(_VARIABLES, (*values, store.endpoint, store.access_key, store.secret_key), strict=True))


def _servers_of_environment(environment: Mapping[str, str]) -> tuple[PostgresServer, ObjectStore]:
    host, port, user, password, *store = (environment[name] for name in _VARIABLES)
    return PostgresServer(host, int(port), user, password), ObjectStore(*store)


def _servers_of_overlay(cluster: Cluster) -> tuple[PostgresServer, ObjectStore]:
    """The servers of the overlay at the node ports of its Services; their logins are in its Secrets."""
    database, store = (
        _values(_get(cluster, f"secret/trainingjob-{name}", "default")) for name in ("database", "store")
    )
    postgres_port, store_port = (_node_port(cluster, service) for service in ("postgres", "minio"))
    address = _node_address(cluster)
    return (
        PostgresServer(address, postgres_port, database["user"], database["password"]),
        ObjectStore(f"{address}:{store_port}", store["accessKey"], store["secretKey"]),
    )


def _node_address(cluster: Cluster) -> str:
    for node in _get(cluster, "nodes")["items"]:
        for each in node["status"].get("addresses", []):
            if each["type"] == "InternalIP":
                return str(each["address"])
    raise ClusterUnavailableError("the existing cluster has no node with an InternalIP")


def _node_port(cluster: Cluster, service: str) -> int:
    return int(_get(cluster, f"service/{service}", "telemetry")["spec"]["ports"][0]["nodePort"])


def _values(secret: Mapping[str, Any]) -> dict[str, str]:
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def _get(cluster: Cluster, what: str, namespace: str = "default") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cluster.run_kubectl("get", what, f"--namespace={namespace}", "--output=json"))
    return found
