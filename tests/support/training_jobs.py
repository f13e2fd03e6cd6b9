"""Operations on the TrainingJobs of a namespace, as a user of kubectl does them."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from kubernetes.client import BatchV1Api, CoreV1Api, CustomObjectsApi

from cluster.clusters import Cluster
from cluster.processes import wait_until
from cluster.simulated_node import SimulatedNode

GROUP, VERSION, PLURAL = "training.pumphealth.io", "v1alpha1", "trainingjobs"
LABEL_NAME = f"{GROUP}/name"


class TrainingJobs:
    """The TrainingJobs of one namespace, with the operations of a user of kubectl."""

    kind: ClassVar[str] = "TrainingJob"
    plural: ClassVar[str] = PLURAL
    example: ClassVar[Mapping[str, Any]] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}}

    def __init__(self, cluster: Cluster, namespace: str, node: SimulatedNode) -> None:
        """Works in this namespace, with pods on this node."""
        client = cluster.client()
        self.namespace, self.node = namespace, node
        self._objects, self._batch, self._core = CustomObjectsApi(client), BatchV1Api(client), CoreV1Api(client)

    def apply(self, name: str = "pump", annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
        """Creates an object."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": self.kind,
            "metadata": {"name": name, "annotations": dict(annotations or {})},
            "spec": {**self.example, **spec},
        }
        created: dict[str, Any] = self._objects.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, self.plural, body
        )
        return created

    def patch(self, name: str = "pump", annotations: Mapping[str, str] | None = None, **spec: Any) -> None:
        """Merges changes into an object."""
        body: dict[str, Any] = {"spec": spec} if spec else {}
        if annotations is not None:
            body["metadata"] = {"annotations": dict(annotations)}
        self._objects.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, self.plural, name, body, _content_type="application/merge-patch+json"
        )

    def delete(self, name: str = "pump") -> None:
        """Deletes an object as kubectl does."""
        self._objects.delete_namespaced_custom_object(
            GROUP, VERSION, self.namespace, self.plural, name, body={"propagationPolicy": "Background"}
        )

    def get(self, name: str = "pump") -> dict[str, Any]:
        """The object as it is now."""
        found: dict[str, Any] = self._objects.get_namespaced_custom_object(
            GROUP, VERSION, self.namespace, self.plural, name
        )
        return found

    def status(self, name: str = "pump") -> dict[str, Any]:
        """Its status, empty before there is one."""
        status: dict[str, Any] = self.get(name).get("status", {})
        return status

    def jobs(self, name: str = "pump") -> list[Any]:
        """The Jobs of an object, oldest first."""
        jobs = self._batch.list_namespaced_job(self.namespace, label_selector=f"{LABEL_NAME}={name}").items
        return sorted(jobs, key=lambda job: (job.metadata.creation_timestamp, job.metadata.name))

    def delete_job(self, name: str) -> None:
        """Deletes a Job by hand, and its pods with it."""
        self._batch.delete_namespaced_job(name, self.namespace, propagation_policy="Background")

    def release(self, job_name: str) -> None:
        """Resumes a Job that is suspended for a queue."""
        self._batch.patch_namespaced_job(job_name, self.namespace, {"spec": {"suspend": False}})

    def set_quota(self, hard: Mapping[str, str]) -> None:
        """Sets the quota of the namespace, and waits until the API server enforces it."""
        body = {"metadata": {"name": "quota"}, "spec": {"hard": dict(hard)}}
        if self._core.list_namespaced_resource_quota(self.namespace).items:
            self._core.patch_namespaced_resource_quota("quota", self.namespace, body)
        else:
            self._core.create_namespaced_resource_quota(self.namespace, body)
        wait_until(
            lambda: self._core.read_namespaced_resource_quota("quota", self.namespace).status.hard == dict(hard),
            "the quota is in effect",
        )

    def wait_gone(self, job_name: str) -> None:
        """Removes deleted pods, as the kubelet does, until a Job is gone."""

        def gone() -> bool:
            self.node.remove_deleted(self.namespace)
            jobs = self._batch.list_namespaced_job(self.namespace, field_selector=f"metadata.name={job_name}")
            return not jobs.items

        wait_until(gone, f"Job {job_name} is gone")

    def events(self, name: str = "pump") -> list[str]:
        """The reasons of the Events about an object."""
        selector = f"involvedObject.kind={self.kind},involvedObject.name={name}"
        return [
            event.reason for event in self._core.list_namespaced_event(self.namespace, field_selector=selector).items
        ]

    def wait(
        self, what: Callable[[dict[str, Any]], object], *, name: str = "pump", seconds: float = 60
    ) -> dict[str, Any]:
        """Waits until a status fulfils a condition, and returns it."""
        last: dict[str, Any] = {}

        def holds() -> bool:
            last.clear()
            last.update(self.status(name))
            return bool(what(last))

        try:
            wait_until(holds, "the status is as wanted", patience_seconds=seconds)
        except Exception as error:
            raise AssertionError(f"{error}; the status is {json.dumps(last, indent=1)}") from error
        return dict(last)

    def wait_phase(self, phase: str, *, name: str = "pump", run: int = 1) -> dict[str, Any]:
        """Waits for a phase of a run."""
        return self.wait(lambda status: (status.get("phase"), status.get("run")) == (phase, run), name=name)

    def running(self, name: str = "pump", run: int = 1, attempt: int = 1) -> Any:
        """Starts the pod of an attempt, waits for the phase Running, and returns the pod."""
        labels = f"{LABEL_NAME}={name},{GROUP}/run={run},{GROUP}/attempt={attempt}"
        pod = self.node.pod(self.namespace, labels)
        self.node.run(pod)
        self.wait_phase("Running", name=name, run=run)
        return pod

    def report(self, pod: Any, outcome: str = "Succeeded", **content: Any) -> str:
        """A termination message of the trainer in that pod."""
        labels = pod.metadata.labels
        return json.dumps(
            {
                "uid": labels[f"{GROUP}/uid"],
                "run": int(labels[f"{GROUP}/run"]),
                "attempt": int(labels[f"{GROUP}/attempt"]),
                "outcome": outcome,
                **content,
            }
        )

    def play_kubelet(self) -> None:
        """Advances every pod of the namespace: pending pods start, running pods succeed, deleted ones are removed."""
        for pod in self.node.pods(self.namespace, unfinished=True):
            if pod.metadata.deletion_timestamp is not None:
                self.node.remove(pod)
            elif pod.status.phase == "Pending":
                self.node.run(pod)
            elif pod.status.phase == "Running":
                self.node.finish(pod, 0, self.report(pod, reason="Completed"))

    def phases(self) -> Counter[str]:
        """How many objects are in which phase."""
        found = self._objects.list_namespaced_custom_object(GROUP, VERSION, self.namespace, self.plural)
        return Counter(item.get("status", {}).get("phase", "") for item in found["items"])

    def job_names_ever(self) -> Counter[str]:
        """How many Jobs of each name were ever created."""
        return jobs_created(self._core, self.namespace)

    def succeed(self, pod: Any, **content: Any) -> dict[str, Any]:
        """Ends a pod with a report of success, and waits for the status."""
        content = {"reason": "Completed", "summary": "skill 0.31", "metrics": {"skill": 0.31}, **content}
        self.node.finish(pod, 0, self.report(pod, **content))
        return self.wait_phase(
            "Succeeded", name=pod.metadata.labels[LABEL_NAME], run=int(pod.metadata.labels[f"{GROUP}/run"])
        )


def jobs_created(core: CoreV1Api, namespace: str) -> Counter[str]:
    """How many Jobs of each name were ever created, by the Events of the Job controller about their first pod."""
    events = core.list_namespaced_event(namespace, field_selector="reason=SuccessfulCreate").items
    created = {(e.involved_object.name, e.involved_object.uid) for e in events if e.involved_object.kind == "Job"}
    return Counter(name for name, _ in created)


def condition(status: Mapping[str, Any], kind: str) -> tuple[str, str]:
    """Status and reason of a condition, both empty before there is one."""
    found = [c for c in status.get("conditions", ()) if c["type"] == kind]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def message(status: Mapping[str, Any]) -> str:
    """The message of the conditions, empty before there are any."""
    return str(next((c["message"] for c in status.get("conditions", ())), ""))
