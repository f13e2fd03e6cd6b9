"""The objects that the operator reads, reduced to the fields that decisions depend on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from trainingjob_api.names import (
    CONTAINER,
    KIND,
    LABEL_ATTEMPT,
    LABEL_ATTEMPT_HASH,
    LABEL_NAME,
    LABEL_RUN,
    LABEL_UID,
    RETRAIN_ANNOTATION,
)
from trainingjob_api.text import clean, instant

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "trainingjob-operator"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
JOB_FINALIZER = "batch.kubernetes.io/job-tracking"

JSON = Mapping[str, Any]


class Key(NamedTuple):
    """Namespace and name of a TrainingJob."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Attempt(NamedTuple):
    """One attempt of one run; both count from 1."""

    run: int
    number: int


NO_ATTEMPT = Attempt(0, 0)
"""The attempt of a TrainingJob that was not accepted yet."""


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """The desired state (``spec``) and the observed state (``status``)."""

    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    deleting: bool
    retrain_request: str | None
    spec: JSON
    status: JSON

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.namespace, self.name)

    @property
    def current_attempt(self) -> Attempt:
        """Run and attempt in the status."""
        return Attempt(int(self.status.get("run") or 0), int(self.status.get("attempt") or 0))

    @property
    def ended(self) -> str | None:
        """``Succeeded`` or ``Failed`` if the current run has ended, else None."""
        for condition in self.status.get("conditions") or ():
            if condition["type"] in {"Succeeded", "Failed"} and condition["status"] == "True":
                return str(condition["type"])
        return None

    @property
    def suspended(self) -> bool:
        """Whether the spec suspends the run."""
        return bool((self.spec.get("runPolicy") or {}).get("suspend"))

    @classmethod
    def parse(cls, raw: JSON) -> TrainingJob:
        """Parse the JSON of the API server."""
        metadata = raw["metadata"]
        strings: dict[str, str] = {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata.get("generation", 1),
            deleting="deletionTimestamp" in metadata,
            retrain_request=clean((metadata.get("annotations") or {}).get(RETRAIN_ANNOTATION, ""), 256) or None,
            spec=_shared(raw.get("spec") or {}, strings),
            status=_shared(raw.get("status") or {}, strings),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """The Job of one attempt of one run.

    Attributes:
        owner: uid of the TrainingJob that controls it, "" for none.
        queue: The LocalQueue of Kueue in its label, "" for none.
        started: When the Job controller started it; None if it is suspended, or was just created or resumed.
        failing: Why the Job will fail once its pods have ended, "" if it will not.
    """

    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    parent: str
    attempt: Attempt
    attempt_hash: str
    queue: str
    suspended: bool
    deleting: bool
    ttl: int | None
    created: datetime
    started: datetime | None
    failures: int
    failing: str
    ended: str | None
    end_reason: str
    end_message: str
    end_time: datetime | None

    @classmethod
    def parse(cls, raw: JSON) -> Job:
        """Parse the JSON of the API server."""
        metadata, spec, status = raw["metadata"], raw.get("spec") or {}, raw.get("status") or {}
        labels = metadata.get("labels") or {}
        true: dict[str, JSON] = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
        end = true.get("Complete") or true.get("Failed") or {}
        created = instant(metadata["creationTimestamp"])
        assert created is not None
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            owner=controller(metadata, KIND),
            parent=labels.get(LABEL_NAME, ""),
            attempt=Attempt(_count(labels.get(LABEL_RUN)), _count(labels.get(LABEL_ATTEMPT))),
            attempt_hash=labels.get(LABEL_ATTEMPT_HASH, ""),
            queue=labels.get(QUEUE_LABEL, ""),
            suspended=bool(spec.get("suspend")),
            deleting="deletionTimestamp" in metadata,
            ttl=spec.get("ttlSecondsAfterFinished"),
            created=created,
            # A resumed Job keeps its old start time until the Job controller has handled it.
            started=None if "Suspended" in true else instant(status.get("startTime")),
            failures=status.get("failed") or 0,
            failing=true.get("FailureTarget", {}).get("reason") or "",
            ended=end.get("type"),
            end_reason=end.get("reason") or "",
            end_message=end.get("message") or "",
            end_time=instant(status.get("completionTime") or end.get("lastTransitionTime")),
        )


@dataclass(frozen=True, slots=True)
class Termination:
    """How the trainer's container ended."""

    exit_code: int
    reason: str
    message: str
    time: datetime | None


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that runs the trainer.

    Attributes:
        owner: uid of the Job that controls it, "" for an orphan.
        trainingjob: uid of the TrainingJob, from the label.
        deletion: When its grace period ends; None if it is not being deleted.
        finalizers: Its finalizers, without that of the Job controller.
        sidecars: Other containers of the pod that still run.
    """

    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    trainingjob: str
    parent: str
    deletion: datetime | None
    finalizers: tuple[str, ...]
    phase: str
    reason: str
    message: str
    node: str | None
    address: str | None
    created: datetime
    bound: datetime | None
    unschedulable: str | None
    disruption: str | None
    waiting: str | None
    waiting_message: str
    termination: Termination | None
    sidecars: tuple[str, ...]

    @property
    def is_active(self) -> bool:
        """Whether containers of the pod may still run."""
        return self.phase not in {"Succeeded", "Failed"}

    @property
    def termination_message(self) -> str:
        """The termination message of the trainer's container, "" while it runs."""
        return self.termination.message if self.termination else ""

    @property
    def ended(self) -> datetime:
        """When the container ended, or the closest known time before."""
        return (self.termination and self.termination.time) or self.bound or self.created

    @classmethod
    def parse(cls, raw: JSON) -> Pod:
        """Parse the JSON of the API server."""
        metadata, status = raw["metadata"], raw.get("status") or {}
        labels = metadata.get("labels") or {}
        conditions: Mapping[str, JSON] = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled = conditions.get("PodScheduled", {})
        disrupted = conditions.get("DisruptionTarget", {})
        containers: list[JSON] = status.get("containerStatuses") or []
        state: JSON = next((c.get("state") or {} for c in containers if c["name"] == CONTAINER), {})
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        created = instant(metadata["creationTimestamp"])
        assert created is not None
        node = (raw.get("spec") or {}).get("nodeName") or None
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            owner=controller(metadata, "Job"),
            trainingjob=labels.get(LABEL_UID, ""),
            parent=labels.get(LABEL_NAME, ""),
            deletion=instant(metadata.get("deletionTimestamp")),
            finalizers=tuple(name for name in metadata.get("finalizers") or () if name != JOB_FINALIZER),
            phase=status.get("phase") or "Pending",
            reason=status.get("reason") or "",
            message=status.get("message") or "",
            node=node,
            address=status.get("podIP"),
            created=created,
            bound=(instant(scheduled.get("lastTransitionTime")) or created) if node else None,
            unschedulable=_unschedulable(scheduled),
            disruption=disrupted.get("reason") if disrupted.get("status") == "True" else None,
            waiting=waiting.get("reason"),
            waiting_message=waiting.get("message") or "",
            termination=None
            if terminated is None
            else Termination(
                exit_code=terminated.get("exitCode", -1),
                reason=terminated.get("reason") or "",
                message=terminated.get("message") or "",
                time=instant(terminated.get("finishedAt")),
            ),
            sidecars=tuple(
                c["name"] for c in containers if c["name"] != CONTAINER and "running" in (c.get("state") or {})
            ),
        )


def controller(metadata: JSON, kind: str) -> str:
    """The uid of the object's controller if it is of that kind, else ""."""
    references = metadata.get("ownerReferences") or ()
    return next((str(r["uid"]) for r in references if r.get("controller") and r["kind"] == kind), "")


def _shared(value: Any, strings: dict[str, str]) -> Any:
    """The same JSON with equal strings kept once: thousands are in memory, and each condition repeats its message."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(part, strings) for key, part in value.items()}
    if isinstance(value, list):
        return [_shared(part, strings) for part in value]
    return strings.setdefault(value, value) if isinstance(value, str) else value


def _unschedulable(scheduled: JSON) -> str | None:
    """The message of the scheduler if it found no node."""
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return (scheduled.get("message") or "no node fits") if refused else None


def _count(label: str | None) -> int:
    return int(label) if label and label.isdigit() else 0
