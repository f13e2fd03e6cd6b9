"""TrainingJobs of one machine on a node, and the operations of their user."""

from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

from kubernetes.client import BatchV1Api, CoreV1Api

from cluster.bed import Bed
from cluster.postgres import Database
from demo.deployment import apply, look
from support.statuses import wait_for

MACHINE = "MOTOBOMBA-007"
PATIENCE_SECONDS = 240


class Pumps:
    """One namespace with its Secrets, telemetry and bucket, and the operations of a user of kubectl.

    Attributes:
        cluster: On whose node the trainers run.
        store: Where they store their models.
        client: Of an administrator.
        namespace: Of the TrainingJobs.
        database: With telemetry of one machine, and the registry.
        bucket: Of the models.
    """

    def __init__(self, bed: Bed, namespace: str, database: Database, bucket: str) -> None:
        """Uses what the fixtures created."""
        self.cluster, self.store, self.client = bed.cluster, bed.object_store, bed.cluster.client()
        self.namespace, self.database, self.bucket = namespace, database, bucket

    def apply(
        self,
        model: str,
        block: dict[str, Any],
        *,
        name: str = "pump",
        annotations: Mapping[str, str] | None = None,
        **spec: Any,
    ) -> None:
        """Applies a TrainingJob."""
        job = {
            "apiVersion": "training.pumphealth.io/v1alpha1",
            "kind": "TrainingJob",
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {
                "machine": MACHINE,
                "model": {"type": model, model: block},
                "artifacts": {"bucket": self.bucket},
                **spec,
            },
        }
        apply(self.cluster, [job], self.namespace)

    def wait(self, what: str, holds: Callable[[dict[str, Any]], object], *, name: str = "pump") -> dict[str, Any]:
        """Waits until a TrainingJob fulfils a condition, and returns it."""

        def read() -> dict[str, Any]:
            return next((dict(job) for job in look(self.client, self.namespace) if job["metadata"]["name"] == name), {})

        return wait_for(read, what, holds, PATIENCE_SECONDS)

    def count_jobs(self) -> int:
        """How many Jobs there are."""
        return len(BatchV1Api(self.client).list_namespaced_job(self.namespace).items)

    def count_pods(self) -> int:
        """How many pods there are."""
        return len(CoreV1Api(self.client).list_namespaced_pod(self.namespace).items)

    def read(self, key: str) -> bytes:
        """The content of an object."""
        answer = self.store.client().get_object(self.bucket, key)
        with closing(answer):
            return answer.read()
