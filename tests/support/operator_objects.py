"""A simulation of a TrainingJob or TrainingFleet, its Jobs and pods, by the rules of API server and Job controller.

It executes the steps of the operator like the reconciler, one at a time, so that a test can stop between any two. Tests
of the pure core run in it thousands of times a second.
"""

import json
from datetime import datetime
from typing import Any, ClassVar, Self

from support.simulated_objects import SimulatedObjects
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
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import NO_ATTEMPT, Attempt, Parent, TrainingJob
from trainingjob_operator.core.snapshot import CreateError, Explanation, Progress, Snapshot
from trainingjob_operator.core.specification import read_specification
from trainingjob_operator.core.step import WriteStatus, next_step

CONFIGURATION = Configuration.read(
    {"TRAINER_IMAGE_CPU": "trainer:cpu", "TRAINER_IMAGES_ACCELERATOR": '{"nvidia.com/gpu": "trainer:gpu"}'}
)


class World(SimulatedObjects):
    """The objects of one TrainingJob, and the operator that acts on them."""

    kind: ClassVar[type[Parent]] = TrainingJob

    def __init__(self, configuration: Configuration = CONFIGURATION, **spec: Any) -> None:
        """Creates the TrainingJob; the operator has not acted yet."""
        super().__init__(**spec)
        self.events: list[str] = []
        self.configuration = configuration
        self.created: list[str] = []
        self.writes = 0
        self.last_seen_attempt = NO_ATTEMPT
        self.create_error: CreateError | None = None
        self.progress: Progress | None = None
        self.explanation: Explanation | None = None
        self.explanation_text: str | None = None

    def parent(self) -> Parent:
        """The custom resource as the operator reads it."""
        return self.kind.parse(self.raw)

    def snapshot(self, *, fresh: bool = True) -> Snapshot:
        """The snapshot of an operator that has received every event."""
        return Snapshot(
            self.parent(),
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
        found = deadlines(self.snapshot(), read_specification(self.parent()), self.configuration)
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
            case WriteStatus(status=status, event=event):
                # The API server returns new objects, with lists instead of tuples.
                self.raw["status"] = json.loads(json.dumps(status))
                self._touch(self.raw)
                self.events += [event.message] if event else []
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

    def settle(self) -> Self:
        """Steps until there is nothing to do."""
        for _ in range(30):
            if self.step() is None:
                return self
        raise AssertionError("the operator does not come to rest")

    def start(self) -> Self:
        """Accepts the TrainingJob and starts its trainer."""
        return self.settle().add_pod().bind().run().settle()

    def succeed(self, **content: Any) -> Self:
        """The trainer succeeds, and its Job completes."""
        return self.end_pod(0, self.report("Succeeded", **content)).end_job("Complete").settle()

    def fail(self, exit_code: int, message: str = "", **how: Any) -> Self:
        """The trainer fails, and its Job fails."""
        final = exit_code in {10, 11, 15, 16, 17}
        self.job["status"]["failed"] = 1
        self.end_pod(exit_code, message, **how)
        return self.end_job("Failed", "PodFailurePolicy" if final else "BackoffLimitExceeded").settle()

    def _create(self) -> None:
        body = json.loads(json.dumps(build_job(self.parent(), self.configuration)))
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
