"""A simulation of one TrainingJob with its Jobs and pods, by the rules of the API server and the Job controller.

It executes the steps of the operator like the reconciler, one at a time, so that a test can stop between any two. Tests
of the pure core run in it thousands of times a second.
"""

import copy
import itertools
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trainingjob_api.names import RETRAIN_ANNOTATION
from trainingjob_api.text import timestamp
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.deadlines import deadlines
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import (
    CreateJob,
    Decision,
    DeleteJob,
    DeletePod,
    Explain,
    Relist,
    SetTTL,
)
from trainingjob_operator.core.job import build_job
from trainingjob_operator.core.objects import NO_ATTEMPT, Attempt, Job, Pod, TrainingJob
from trainingjob_operator.core.snapshot import CreateError, Explanation, Progress, Snapshot
from trainingjob_operator.core.specification import read_specification
from trainingjob_operator.core.step import WriteStatus, next_step

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
GRACE_SECONDS = 120
UID = "1f0c9a3e-0000-4000-8000-000000000001"
CONFIGURATION = Configuration.read(
    {"TRAINER_IMAGE_CPU": "trainer:cpu", "TRAINER_IMAGES_ACCELERATOR": '{"nvidia.com/gpu": "trainer:gpu"}'}
)
SPEC: Mapping[str, Any] = {"machine": "MOTOBOMBA-007", "model": {"type": "gru"}, "accelerator": {"policy": "Disabled"}}


class World:
    """One TrainingJob, its Jobs and pods, and a clock."""

    def __init__(self, configuration: Configuration = CONFIGURATION, **spec: Any) -> None:
        """Creates the TrainingJob; nothing has happened yet."""
        self.configuration, self.now = configuration, START
        self._versions = itertools.count(1)
        self._numbers = itertools.count(1)
        self.raw: dict[str, Any] = {
            "metadata": {
                "namespace": "pumps",
                "name": "pump",
                "uid": UID,
                "generation": 1,
                "resourceVersion": str(next(self._versions)),
            },
            "spec": {**copy.deepcopy(dict(SPEC)), **spec},
        }
        self.jobs: dict[str, dict[str, Any]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.created: list[str] = []
        self.writes = 0
        self.last_seen_attempt = NO_ATTEMPT
        self.create_error: CreateError | None = None
        self.progress: Progress | None = None
        self.explanation: Explanation | None = None
        self.explanation_text: str | None = None

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

    def snapshot(self, *, fresh: bool = True) -> Snapshot:
        """The snapshot of an operator that has received every event."""
        return Snapshot(
            TrainingJob.parse(self.raw),
            tuple(Job.parse(raw) for raw in self.jobs.values()),
            tuple(Pod.parse(raw) for raw in self.pods.values()),
            self.last_seen_attempt,
            self.create_error,
            fresh,
            self.explanation,
        )

    def decide(self) -> Decision:
        """What the operator decides now."""
        return decide(self.snapshot(), self.now, self.configuration)

    def deadlines(self) -> list[tuple[str, datetime]]:
        """Reason and time of every deadline that applies."""
        found = deadlines(self.snapshot(), read_specification(self.raw["spec"]), self.configuration)
        return [(str(deadline.reason), deadline.due) for deadline in found]

    def step(self) -> Decision | None:
        """Executes one step of the operator; returns the decision behind it, None if there is nothing to do."""
        snapshot = self.snapshot(fresh=False)
        step = next_step(snapshot, self.progress, self.now, self.configuration)
        if isinstance(step, Relist):
            snapshot = self.snapshot()
            step = next_step(snapshot, self.progress, self.now, self.configuration)
        decision = decide(snapshot, self.now, self.configuration)
        match step:
            case WriteStatus(status=status):
                # The API server returns lists, and no parts that are shared.
                self.raw["status"] = json.loads(json.dumps(status))
                self._touch(self.raw)
            case Explain(job=job):
                self.explanation = Explanation((job.uid, job.version), self.now, self.explanation_text)
                return self.step()
            case CreateJob() if self.create_error is None:
                self._create()
            case DeleteJob(job=job):
                self._delete(job.name)
            case DeletePod():
                self.delete_pod()
            case SetTTL(job=job, seconds=seconds):
                self.jobs[job.name]["spec"]["ttlSecondsAfterFinished"] = seconds
            case _:
                return None
        self.writes += 1
        return decision

    def settle(self) -> "World":
        """Steps until there is nothing to do."""
        for _ in range(30):
            if self.step() is None:
                return self
        raise AssertionError("the operator does not come to rest")

    def edit(self, **spec: Any) -> "World":
        """Replaces parts of the spec, as a person does."""
        changed = {**self.raw["spec"], **spec}
        if changed != self.raw["spec"]:
            self.raw["spec"] = changed
            self.raw["metadata"]["generation"] += 1
            self._touch(self.raw)
        return self

    def request_retrain(self, value: str) -> "World":
        """Annotates the TrainingJob."""
        self.raw["metadata"]["annotations"] = {RETRAIN_ANNOTATION: value}
        self._touch(self.raw)
        return self

    def pass_time(self, seconds: float) -> "World":
        """Lets the clock run."""
        self.now += timedelta(seconds=seconds)
        return self

    def add_pod(self) -> "World":
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

    def bind(self) -> "World":
        """The scheduler finds a node for the newest pod."""
        self.pod["spec"]["nodeName"] = "node-1"
        return self._set(
            conditions=[{"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(self.now)}]
        )

    def find_no_node(self, message: str = "0/3 nodes are available") -> "World":
        """The scheduler finds no node for the newest pod."""
        refused = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return self._set(conditions=[refused])

    def wait_for(self, reason: str, message: str = "") -> "World":
        """The kubelet cannot start the container of the newest pod."""
        return self._set(
            containerStatuses=[{"name": "trainer", "state": {"waiting": {"reason": reason, "message": message}}}]
        )

    def run(self) -> "World":
        """The container of the newest pod runs."""
        return self._set(
            phase="Running", podIP="10.1.2.3", containerStatuses=[{"name": "trainer", "state": {"running": {}}}]
        )

    def start(self) -> "World":
        """From an accepted TrainingJob to a running trainer."""
        return self.settle().add_pod().bind().run().settle()

    def end_pod(
        self, exit_code: int, message: str = "", *, reason: str = "Error", disruption: str | None = None
    ) -> "World":
        """The container of the newest pod ends; the Job does not know yet."""
        terminated = {"exitCode": exit_code, "reason": reason, "message": message, "finishedAt": timestamp(self.now)}
        if disruption is not None:
            self.pod["status"].setdefault("conditions", []).append(
                {"type": "DisruptionTarget", "status": "True", "reason": disruption}
            )
        return self._set(
            phase="Failed" if exit_code else "Succeeded",
            containerStatuses=[{"name": "trainer", "state": {"terminated": terminated}}],
        )

    def end_trainer(self, exit_code: int, message: str = "") -> "World":
        """The trainer's container of the newest pod ends, and a sidecar runs on."""
        terminated = {"exitCode": exit_code, "reason": "Error", "message": message, "finishedAt": timestamp(self.now)}
        containers = [
            {"name": "trainer", "state": {"terminated": terminated}},
            {"name": "istio-proxy", "state": {"running": {}}},
        ]
        return self._set(containerStatuses=containers)

    def delete_pod(self, *, disruption: str | None = None) -> "World":
        """The newest pod is being deleted, by its node's taint say, and has its grace period to end."""
        self.pod["metadata"]["deletionTimestamp"] = timestamp(self.now + timedelta(seconds=GRACE_SECONDS))
        target = {"type": "DisruptionTarget", "status": "True", "reason": disruption}
        return self._set(conditions=[*self.pod["status"].get("conditions", []), *([target] if disruption else [])])

    def end_job(self, kind: str, reason: str = "", message: str = "") -> "World":
        """The Job controller finds the newest Job Complete or Failed."""
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

    def succeed(self, **content: Any) -> "World":
        """The trainer ends well, and the Job with it."""
        return self.end_pod(0, self.report("Succeeded", **content)).end_job("Complete").settle()

    def fail(self, exit_code: int, message: str = "", **how: Any) -> "World":
        """The trainer ends badly, and the Job with it."""
        final = exit_code in {10, 11, 15, 16, 17}
        self.job["status"]["failed"] = 1
        self.end_pod(exit_code, message, **how)
        return self.end_job("Failed", "PodFailurePolicy" if final else "BackoffLimitExceeded").settle()

    def touch_job(self) -> "World":
        """The newest Job has changed."""
        self._touch(self.job)
        return self

    def remove_job(self) -> "World":
        """The newest Job and its pods are gone."""
        name, job = self.jobs.popitem()
        self.pods = {key: pod for key, pod in self.pods.items() if not key.startswith(f"{name}-")}
        del job
        return self

    def orphan_pod(self) -> "World":
        """The newest Job is deleted and its pod is not."""
        self.jobs.popitem()
        del self.pod["metadata"]["ownerReferences"]
        self._touch(self.pod)
        return self

    def report(self, outcome: str, **content: Any) -> str:
        """A termination message of the claimed attempt."""
        run, attempt = self.status["run"], self.status["attempt"]
        return json.dumps({"uid": UID, "run": run, "attempt": attempt, "outcome": outcome, **content})

    def condition(self, kind: str) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = next(c for c in self.status["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    @property
    def message(self) -> str:
        """What the conditions say."""
        return str(self.status["conditions"][0]["message"])

    def _create(self) -> None:
        body = json.loads(json.dumps(build_job(TrainingJob.parse(self.raw), self.configuration)))
        name, number = body["metadata"]["name"], next(self._numbers)
        if name in self.jobs:
            raise AssertionError(f"{name} is created though it is there")
        if live := [pod for pod, raw in self.pods.items() if raw["status"]["phase"] not in ("Succeeded", "Failed")]:
            raise AssertionError(f"{name} is created though the trainer of {live} may still run")
        body["metadata"] |= {
            "uid": f"job-{number}",
            "resourceVersion": str(next(self._versions)),
            "creationTimestamp": timestamp(self.now),
        }
        body["status"] = {} if body["spec"].get("suspend") else {"startTime": timestamp(self.now)}
        self.jobs[name] = body
        self.created.append(name)
        self.last_seen_attempt = Attempt(self.status["run"], self.status["attempt"])

    def _delete(self, name: str) -> None:
        self.jobs[name]["metadata"]["deletionTimestamp"] = timestamp(self.now)
        self._touch(self.jobs[name])
        if self.pods and self.pod["metadata"]["name"].startswith(f"{name}-"):
            self.delete_pod()

    def _set(self, **status: Any) -> "World":
        self.pod["status"] |= status
        self._touch(self.pod)
        return self

    def _touch(self, raw: dict[str, Any]) -> None:
        raw["metadata"]["resourceVersion"] = str(next(self._versions))
