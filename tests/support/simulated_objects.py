"""The objects of one TrainingJob as the API server has them, and what users and Kubernetes do to them."""

import copy
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Self

from trainingjob_api.names import RETRAIN_ANNOTATION
from trainingjob_api.text import timestamp

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE_SECONDS = 120
UID = "1f0c9a3e-0000-4000-8000-000000000001"
SPEC: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}, "accelerator": {"policy": "Disabled"}}


class SimulatedObjects:
    """One TrainingJob or TrainingFleet, its Jobs and pods, and a clock.

    The methods change the objects like users, the scheduler, the kubelet and the Job controller do.
    """

    example: ClassVar[Mapping[str, Any]] = SPEC

    def __init__(self, **spec: Any) -> None:
        """Creates the custom resource, without Jobs and pods."""
        self.now = START
        self._versions = itertools.count(1)
        self._numbers = itertools.count(1)
        self.raw: dict[str, Any] = {
            "metadata": {
                "namespace": "pumps",
                "name": "pump",
                "uid": UID,
                "generation": 1,
                "resourceVersion": str(next(self._versions)),
                "creationTimestamp": timestamp(START),
            },
            "spec": {**copy.deepcopy(dict(self.example)), **spec},
        }
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}

    @property
    def status(self) -> dict[str, Any]:
        """The status of the TrainingJob."""
        status: dict[str, Any] = self.raw.get("status", {})
        return status

    @property
    def job(self) -> dict[str, Any]:
        """The newest Job."""
        return list(self.jobs.values())[-1]

    @property
    def pod(self) -> dict[str, Any]:
        """The newest pod."""
        return list(self.pods.values())[-1]

    def edit(self, **spec: Any) -> Self:
        """Replaces parts of the spec, as a user does."""
        changed = {**self.raw["spec"], **spec}
        if changed != self.raw["spec"]:
            self.raw["spec"] = changed
            self.raw["metadata"]["generation"] += 1
            self._touch(self.raw)
        return self

    def annotate(self, name: str, value: str) -> Self:
        """Annotates the custom resource."""
        self.raw["metadata"].setdefault("annotations", {})[name] = value
        self._touch(self.raw)
        return self

    def request_retrain(self, value: str) -> Self:
        """Asks for one more run."""
        return self.annotate(RETRAIN_ANNOTATION, value)

    def pass_time(self, seconds: float) -> Self:
        """Advances the clock."""
        self.now += timedelta(seconds=seconds)
        return self

    def add_pod(self) -> Self:
        """The Job controller creates a pod for the newest Job."""
        job, number = self.job, next(self._numbers)
        name = f"{job['metadata']['name']}-{number}"
        self.pods[name] = {
            "metadata": {
                "namespace": "pumps",
                "name": name,
                "uid": f"pod-{number}",
                "resourceVersion": str(next(self._versions)),
                "creationTimestamp": timestamp(self.now),
                "labels": job["metadata"]["labels"],
                "ownerReferences": [{"kind": "Job", "uid": job["metadata"]["uid"], "controller": True}],
            },
            "spec": {},
            "status": {"phase": "Pending"},
        }
        return self

    def bind(self) -> Self:
        """The scheduler finds a node for the newest pod."""
        self.pod["spec"]["nodeName"] = "node-1"
        return self._set(
            conditions=[{"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(self.now)}]
        )

    def find_no_node(self, message: str = "0/3 nodes are available") -> Self:
        """The scheduler finds no node for the newest pod."""
        refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return self._set(conditions=[refused])

    def wait_for(self, reason: str, message: str = "") -> Self:
        """The kubelet cannot start the container of the newest pod."""
        return self._set(
            containerStatuses=[{"name": "trainer", "state": {"waiting": {"reason": reason, "message": message}}}]
        )

    def run(self) -> Self:
        """The container of the newest pod runs."""
        return self._set(
            phase="Running", podIP="10.1.2.3", containerStatuses=[{"name": "trainer", "state": {"running": {}}}]
        )

    def end_pod(
        self, exit_code: int, message: str = "", *, reason: str = "Error", disruption: str | None = None
    ) -> Self:
        """The container of the newest pod ends; the status of the Job does not change yet."""
        terminated = {"exitCode": exit_code, "reason": reason, "message": message, "finishedAt": timestamp(self.now)}
        if disruption is not None:
            self.pod["status"].setdefault("conditions", []).append(
                {"type": "DisruptionTarget", "status": "True", "reason": disruption}
            )
        return self._set(
            phase="Failed" if exit_code else "Succeeded",
            containerStatuses=[{"name": "trainer", "state": {"terminated": terminated}}],
        )

    def end_trainer(self, exit_code: int, message: str = "") -> Self:
        """The trainer's container of the newest pod ends, while a sidecar continues."""
        terminated = {"exitCode": exit_code, "reason": "Error", "message": message, "finishedAt": timestamp(self.now)}
        containers = [
            {"name": "trainer", "state": {"terminated": terminated}},
            {"name": "istio-proxy", "state": {"running": {}}},
        ]
        return self._set(containerStatuses=containers)

    def delete_pod(self, *, disruption: str | None = None) -> Self:
        """The newest pod is deleted, for example because of a taint of its node; its grace period begins."""
        self.pod["metadata"]["deletionTimestamp"] = timestamp(self.now + timedelta(seconds=GRACE_SECONDS))
        target = {"type": "DisruptionTarget", "status": "True", "reason": disruption}
        return self._set(conditions=[*self.pod["status"].get("conditions", []), *([target] if disruption else [])])

    def end_job(self, kind: str, reason: str = "", message: str = "") -> Self:
        """The Job controller sets the condition Complete or Failed of the newest Job."""
        status = self.job["status"]
        status["conditions"] = [
            {
                "type": kind,
                "status": "True",
                "reason": reason,
                "message": message,
                "lastTransitionTime": timestamp(self.now),
            }
        ]
        if kind == "Complete":
            status["completionTime"] = timestamp(self.now)
        self._touch(self.job)
        return self

    def touch_job(self) -> Self:
        """The newest Job changes: it gets another resourceVersion."""
        self._touch(self.job)
        return self

    def remove_job(self) -> Self:
        """The newest Job and its pods are removed."""
        name, job = self.jobs.popitem()
        self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
        del job
        return self

    def orphan_pod(self) -> Self:
        """The newest Job is removed without its pod."""
        self.jobs.popitem()
        del self.pod["metadata"]["ownerReferences"]
        self._touch(self.pod)
        return self

    def report(self, outcome: str, **content: Any) -> str:
        """A termination message of the current attempt."""
        run, attempt = self.status["run"], self.status["attempt"]
        return json.dumps({"uid": UID, "run": run, "attempt": attempt, "outcome": outcome, **content})

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    @property
    def message(self) -> str:
        """The message of the conditions."""
        return str(self.status["conditions"][0]["message"])

    def _set(self, **status: Any) -> Self:
        self.pod["status"] |= status
        self._touch(self.pod)
        return self

    def _touch(self, raw: dict[str, Any]) -> None:
        raw["metadata"]["resourceVersion"] = str(next(self._versions))
