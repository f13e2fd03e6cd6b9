"""What a user does with kubectl: the operator from its manifests, the Secrets, TrainingJobs and TrainingFleets."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubernetes.client import ApiClient, CustomObjectsApi

from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import Database
from demo.story import yaml_of

OVERLAY = Path(__file__).parents[2] / "manifests" / "overlays" / "local"
NAMESPACE = "pumps"
_OPERATOR = ("--namespace=trainingjob-system", "deployment/trainingjob-operator")


def deploy_operator(
    cluster: Cluster, database: Database, store: ObjectStore, namespace: str = NAMESPACE, *, restart: bool = False
) -> None:
    """Applies the local overlay and waits until the operator is ready; makes the namespace and its Secrets.

    Args:
        cluster: With the images.
        database: For the Secret of the database.
        store: For the Secret of the object store.
        namespace: Of the Secrets.
        restart: Whether to restart a running operator, whose image may be older than the current one of that name.
    """
    cluster.run_kubectl("apply", "--server-side", "-k", str(OVERLAY))
    if restart:
        cluster.run_kubectl("rollout", "restart", *_OPERATOR)
    cluster.run_kubectl("rollout", "status", "--timeout=120s", *_OPERATOR)
    cluster.run_kubectl("apply", "--server-side", "-f", "-", stdin=_namespace(namespace))
    for secret in (_database_secret(database), _store_secret(store)):
        cluster.run_kubectl("apply", "--server-side", f"--namespace={namespace}", "-f", "-", stdin=json.dumps(secret))


def select_namespace(cluster: Cluster, namespace: str = NAMESPACE) -> None:
    """Sets the default namespace in the kubeconfig, which must be one of the test bed."""
    cluster.run_kubectl("config", "set-context", "--current", f"--namespace={namespace}")


def apply(cluster: Cluster, jobs: Sequence[Mapping[str, Any]], namespace: str = NAMESPACE) -> None:
    """Applies TrainingJobs or TrainingFleets."""
    cluster.run_kubectl("apply", f"--namespace={namespace}", "-f", "-", stdin=yaml_of(jobs))


def look(client: ApiClient, namespace: str = NAMESPACE, plural: str = "trainingjobs") -> Sequence[Mapping[str, Any]]:
    """The current TrainingJobs of the namespace, or with ``trainingfleets`` as plural its TrainingFleets."""
    listed: Any = CustomObjectsApi(client).list_namespaced_custom_object(
        "training.pumphealth.io", "v1alpha1", namespace, plural
    )
    jobs: Sequence[Mapping[str, Any]] = listed["items"]
    return jobs


def _namespace(name: str) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def _database_secret(database: Database) -> dict[str, Any]:
    return _secret(
        "trainingjob-database",
        host=database.host,
        port=str(database.port),
        dbname=database.dbname,
        user=database.user,
        password=database.password,
    )


def _store_secret(store: ObjectStore) -> dict[str, Any]:
    return _secret(
        "trainingjob-store",
        endpoint=store.endpoint,
        accessKey=store.access_key,
        secretKey=store.secret_key,
        secure="false",
    )


def _secret(name: str, **values: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
