"""A TrainingFleet on a real node, with the operator as a pod: every machine, its failures, and another attempt."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from kubernetes.client import BatchV1Api, CustomObjectsApi

from cluster.bed import Bed
from cluster.object_store import ObjectStore
from cluster.postgres import Database
from demo import trainer
from demo.deployment import apply, deploy_operator
from support.statuses import wait_for

pytestmark = pytest.mark.needs("controllers", "node")

MACHINES = [f"MOTOBOMBA-10{number}" for number in range(5)]
WITHOUT_DATA = MACHINES[-1]
RESOURCE = ("training.pumphealth.io", "v1alpha1")
PATIENCE_SECONDS = 300


class Fleet:
    """One TrainingFleet, and the operations of a user of kubectl."""

    def __init__(self, bed: Bed, namespace: str, database: Database, bucket: str) -> None:
        """Uses what the fixtures created."""
        self.cluster, self.namespace, self.database = bed.cluster, namespace, database
        self.environment = database.environment() | bed.object_store.environment()
        self._client = bed.cluster.client()
        self._spec = {
            "machines": {"names": MACHINES},
            "template": {
                "model": {"type": "gru", "gru": {"sequenceLength": 10}},
                "artifacts": {"bucket": bucket},
            },
            "workers": 2,
            "resources": {"requests": {"cpu": "100m", "memory": "512Mi"}},
        }

    def apply(self) -> None:
        """Applies the fleet."""
        fleet = {
            "apiVersion": "/".join(RESOURCE),
            "kind": "TrainingFleet",
            "metadata": {"name": "pumps"},
            "spec": self._spec,
        }
        apply(self.cluster, [fleet], self.namespace)

    def wait(self, what: str, holds: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Waits until the status fulfils a condition, and returns it."""

        def read() -> dict[str, Any]:
            found: Any = CustomObjectsApi(self._client).get_namespaced_custom_object(
                *RESOURCE, self.namespace, "trainingfleets", "pumps"
            )
            return dict(found.get("status") or {})

        return wait_for(read, what, holds, PATIENCE_SECONDS)

    def count_models(self) -> dict[str, int]:
        """Registered models by machine."""
        with closing(self.database.connect()) as session, session.cursor() as cursor:
            cursor.execute("SELECT machine_name, count(*) FROM models GROUP BY machine_name")
            return dict(cursor.fetchall())

    def count_jobs(self) -> int:
        """How many Jobs there are."""
        return len(BatchV1Api(self._client).list_namespaced_job(self.namespace).items)


@pytest.fixture
def fleet(bed: Bed, namespace: str, database: Database, bucket: str, object_store: ObjectStore) -> Fleet:
    """A namespace for a TrainingFleet, with telemetry of all its machines but one."""
    environment = database.environment() | object_store.environment()
    trainer.run(environment, "init-db")
    for machine in MACHINES:
        if machine != WITHOUT_DATA:
            trainer.run(environment, "simulate", "--machine", machine, "--rows", "1500")
    deploy_operator(bed.cluster, database, object_store, namespace)
    return Fleet(bed, namespace, database, bucket)


def test_a_fleet_trains_all_machines_and_tries_the_failed_one_again(fleet: Fleet) -> None:
    fleet.apply()
    status = fleet.wait("the run has ended", lambda status: status.get("phase") in {"Succeeded", "Failed"})
    assert status["phase"] == "Succeeded", status
    counts = status["machines"]
    assert (counts["selected"], counts["registered"], counts["failed"]) == (5, 4, 1), status
    assert [(each["machine"], each["reason"]) for each in status["failures"]] == [(WITHOUT_DATA, "InsufficientData")]
    assert {each["name"] for each in status["artifacts"]} >= {"report", "summary"}
    assert fleet.count_models() == dict.fromkeys(MACHINES[:-1], 1)
    printed = fleet.cluster.run_kubectl("get", "tfl", f"--namespace={fleet.namespace}", "pumps")
    assert "4/5" in printed

    trainer.run(fleet.environment, "simulate", "--machine", WITHOUT_DATA, "--rows", "1500")
    annotation = "training.pumphealth.io/retry-failed-requested-at=2026-01-01"
    fleet.cluster.run_kubectl("annotate", f"--namespace={fleet.namespace}", "trainingfleet/pumps", annotation)
    status = fleet.wait(
        "the second attempt has ended",
        lambda status: status.get("attempt") == 2 and status.get("phase") in {"Succeeded", "Failed"},
    )
    assert (status["run"], status["phase"]) == (1, "Succeeded"), status
    assert (status["machines"]["registered"], status["machines"]["failed"]) == (5, 0), status
    assert fleet.count_models() == dict.fromkeys(MACHINES, 1)
    assert fleet.count_jobs() == 2
