"""The operator as users deploy it: its image and its manifests."""

from collections.abc import Iterator

import pytest
from kubernetes.client import BatchV1Api, CoordinationV1Api

from cluster.bed import Bed
from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import wait_until
from demo import trainer
from demo.deployment import apply, deploy_operator, look
from demo.story import ending, is_over
from support.pods import SYSTEM_NAMESPACE, metric, operator_pods

MACHINE = "MOTOBOMBA-007"
pytestmark = pytest.mark.needs("controllers", "node")
DEPLOYMENT = (f"--namespace={SYSTEM_NAMESPACE}", "deployment/trainingjob-operator")


@pytest.fixture
def deployed(bed: Bed, namespace: str, database: Database, bucket: str, object_store: ObjectStore) -> Cluster:
    """The operator, and a namespace for TrainingJobs whose machine has too few rows."""
    environment = database.environment() | object_store.environment()
    trainer.run(environment, "init-db", "--bucket", bucket)
    trainer.run(environment, "simulate", "--machine", MACHINE, "--rows", "100")
    deploy_operator(bed.cluster, database, object_store, namespace)
    return bed.cluster


@pytest.fixture
def two_replicas(deployed: Cluster) -> Iterator[Cluster]:
    """Two replicas of the operator, both ready."""
    deployed.run_kubectl("scale", "--replicas=2", *DEPLOYMENT)
    deployed.run_kubectl("rollout", "status", "--timeout=120s", *DEPLOYMENT)
    yield deployed
    deployed.run_kubectl("scale", "--replicas=1", *DEPLOYMENT)
    wait_until(lambda: len(operator_pods(deployed.client())) == 1, "one replica is left")


def training_job(name: str, **spec: object) -> dict[str, object]:
    return {
        "apiVersion": "training.pumphealth.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {"machine": MACHINE, "model": {"type": "xgb"}, **spec},
    }


def wait_for_job(cluster: Cluster, namespace: str, name: str) -> None:
    jobs, label = BatchV1Api(cluster.client()), f"training.pumphealth.io/name={name}"
    wait_until(lambda: len(jobs.list_namespaced_job(namespace, label_selector=label).items) == 1, f"{name} has its Job")


@pytest.mark.provokes("InsufficientData")
def test_all_changes_arrive_by_watches(deployed: Cluster, namespace: str, bucket: str) -> None:
    client = deployed.client()
    (pod,) = operator_pods(client)

    def heard(resource: str) -> float:
        return metric(client, pod, "trainingjob_operator_changes_total", resource=resource, source="watch")

    def restarts() -> float:
        return metric(client, pod, "trainingjob_operator_watch_restarts_total")

    # Tests before this one may have disturbed the watches of the same pod.
    restarts_before = restarts()
    before = {resource: heard(resource) for resource in ("trainingjobs", "jobs", "pods")}
    apply(deployed, [training_job("pump", artifacts={"bucket": bucket})], namespace)
    wait_until(
        lambda: any(is_over(job) for job in look(client, namespace)), "the training has ended", patience_seconds=120
    )
    (job,) = look(client, namespace)
    assert ending(job) == "InsufficientData"
    assert all(heard(resource) > count for resource, count in before.items())
    assert restarts() == restarts_before


def test_the_standby_takes_over_when_the_leading_replica_is_killed(two_replicas: Cluster, namespace: str) -> None:
    client = two_replicas.client()
    leases = CoordinationV1Api(client)

    def holder() -> str:
        return leases.read_namespaced_lease("trainingjob-operator", SYSTEM_NAMESPACE).spec.holder_identity or ""

    nowhere = {"scheduling": {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}}
    apply(two_replicas, [training_job("before", **nowhere)], namespace)
    wait_for_job(two_replicas, namespace, "before")
    leader = holder()
    (standby,) = [pod for pod in operator_pods(client) if pod.metadata.name != leader]
    assert metric(client, standby, "trainingjob_operator_api_requests_total", verb="POST", resource="jobs") == 0
    two_replicas.run_kubectl("delete", "pod", leader, f"--namespace={SYSTEM_NAMESPACE}", "--grace-period=0", "--force")
    apply(two_replicas, [training_job("after", **nowhere)], namespace)
    wait_for_job(two_replicas, namespace, "after")
    assert holder() not in {"", leader}
