"""Frozen views of the objects that the operator reads: only the fields that decide something."""

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


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """What a person asked for (``spec``) and what was said about it so far (``status``)."""

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
    def claim(self) -> tuple[int, int]:
        """Run and attempt that the status claims; (0, 0) before the first claim."""
        return int(self.status.get("run") or 0), int(self.status.get("attempt") or 0)

    @property
    def ended(self) -> str | None:
        """``Succeeded`` or ``Failed`` once the claimed run has ended, else None."""
        for condition in self.status.get("conditions") or ():
            if condition["type"] in {"Succeeded", "Failed"} and condition["status"] == "True":
                return str(condition["type"])
        return None

    @property
    def suspended(self) -> bool:
        """Whether the spec asks for no Job."""
        return bool((self.spec.get("runPolicy") or {}).get("suspend"))

    @classmethod
    def parse(cls, raw: JSON) -> TrainingJob:
        """Read an object as the API server gave it."""
        metadata = raw["metadata"]
        words: dict[str, str] = {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata.get("generation", 1),
            deleting="deletionTimestamp" in metadata,
            retrain_request=clean((metadata.get("annotations") or {}).get(RETRAIN_ANNOTATION, ""), 256) or None,
            spec=_shared(raw.get("spec") or {}, words),
            status=_shared(raw.get("status") or {}, words),
        )


@dataclass(frozen=True, slots=True)
class Job:
    """A child: one attempt of one run.

    Attributes:
        queue: The LocalQueue of Kueue that it is labelled with, "" for none.
        started: Since when the Job controller lets it run; None for one that is held, or was just created or released.
        failing: Why the Job will be Failed once its pods have ended, "" for one that goes on.
    """

    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    parent: str
    claim: tuple[int, int]
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
        """Read an object as the API server gave it; ``owner`` is "" for one that no TrainingJob controls."""
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
            claim=(_count(labels.get(LABEL_RUN)), _count(labels.get(LABEL_ATTEMPT))),
            attempt_hash=labels.get(LABEL_ATTEMPT_HASH, ""),
            queue=labels.get(QUEUE_LABEL, ""),
            suspended=bool(spec.get("suspend")),
            deleting="deletionTimestamp" in metadata,
            ttl=spec.get("ttlSecondsAfterFinished"),
            created=created,
            # The start of a released Job is its old one until the Job controller has noticed the release.
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
    """One try of a Job to run the trainer.

    Attributes:
        owner: uid of the Job that controls it; "" for an orphan.
        trainingjob: uid of the TrainingJob, from the label.
        deletion: By when it should be gone, its grace period included; None for one that nobody deletes.
        finalizers: Those that others than the Job controller hold it with.
        bystanders: Containers beside the trainer's that still run.
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
    bystanders: tuple[str, ...]

    @property
    def live(self) -> bool:
        """Whether the pod may still do something."""
        return self.phase not in {"Succeeded", "Failed"}

    @property
    def termination_message(self) -> str:
        """What the trainer's container left when it ended, "" before that."""
        return self.termination.message if self.termination else ""

    @property
    def ended(self) -> datetime:
        """When the container ended, or the closest instant that is known."""
        return (self.termination and self.termination.time) or self.bound or self.created

    @classmethod
    def parse(cls, raw: JSON) -> Pod:
        """Read an object as the API server gave it."""
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
            bystanders=tuple(
                c["name"] for c in containers if c["name"] != CONTAINER and "running" in (c.get("state") or {})
            ),
        )


def controller(metadata: JSON, kind: str) -> str:
    """The uid of the object's controller if it is of that kind, else ""."""
    references = metadata.get("ownerReferences") or ()
    return next((str(r["uid"]) for r in references if r.get("controller") and r["kind"] == kind), "")


def _shared(value: Any, words: dict[str, str]) -> Any:
    """The same JSON with equal strings kept once: thousands of these are in memory, and each says things six times."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(part, words) for key, part in value.items()}
    if isinstance(value, list):
        return [_shared(part, words) for part in value]
    return words.setdefault(value, value) if isinstance(value, str) else value


def _unschedulable(scheduled: JSON) -> str | None:
    """The scheduler's words when it found no node."""
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return (scheduled.get("message") or "no node fits") if refused else None


def _count(label: str | None) -> int:
    return int(label) if label and label.isdigit() else 0
