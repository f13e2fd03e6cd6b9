"""The Jobs and pods that the operator reads, reduced to the fields that decisions depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from trainingjob_api.names import (
    CONTAINER,
    FLEET_KIND,
    KIND,
    LABEL_ATTEMPT,
    LABEL_ATTEMPT_HASH,
    LABEL_KIND,
    LABEL_NAME,
    LABEL_RUN,
    LABEL_UID,
)
from trainingjob_api.text import instant
from trainingjob_operator.core.parent import JSON, Attempt, Key, created_at

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "trainingjob-operator"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"
JOB_FINALIZER = "batch.kubernetes.io/job-tracking"


@dataclass(frozen=True, slots=True)
class Job:
    """The Job of one attempt of one run.

    Attributes:
        owner: uid of the TrainingJob or TrainingFleet that controls it, "" for none.
        parent: Its TrainingJob or TrainingFleet, from the labels.
        queue: The LocalQueue of Kueue in its label, "" for none.
        started: When the Job controller started it; None if it is suspended, or was just created or resumed.
        failing: Why the Job will fail once its pods have ended, "" if it will not.
        succeeding: Whether the Job will be complete once its pods have ended.
    """

    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    parent: Key | None
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
    succeeding: bool
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
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            owner=controller(metadata, KIND, FLEET_KIND),
            parent=_parent(metadata),
            attempt=Attempt(_count(labels.get(LABEL_RUN)), _count(labels.get(LABEL_ATTEMPT))),
            attempt_hash=labels.get(LABEL_ATTEMPT_HASH, ""),
            queue=labels.get(QUEUE_LABEL, ""),
            suspended=bool(spec.get("suspend")),
            deleting="deletionTimestamp" in metadata,
            ttl=spec.get("ttlSecondsAfterFinished"),
            created=created_at(metadata),
            # A resumed Job keeps its old start time until the Job controller has handled it.
            started=None if "Suspended" in true else instant(status.get("startTime")),
            failures=status.get("failed") or 0,
            failing=true.get("FailureTarget", {}).get("reason") or "",
            succeeding="SuccessCriteriaMet" in true,
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
        parent_uid: uid of its TrainingJob or TrainingFleet, from the label.
        parent: The same by name, from the labels.
        deletion: When its grace period ends; None if it is not being deleted.
        finalizers: Its finalizers, without that of the Job controller.
        sidecars: Other containers of the pod that still run.
    """

    namespace: str
    name: str
    uid: str
    version: int
    owner: str
    parent_uid: str
    parent: Key | None
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
        conditions: Mapping[str, JSON] = {c["type"]: c for c in status.get("conditions") or ()}
        scheduled = conditions.get("PodScheduled", {})
        disrupted = conditions.get("DisruptionTarget", {})
        containers: list[JSON] = status.get("containerStatuses") or []
        state: JSON = next((c.get("state") or {} for c in containers if c["name"] == CONTAINER), {})
        waiting, terminated = state.get("waiting") or {}, state.get("terminated")
        created, node = created_at(metadata), (raw.get("spec") or {}).get("nodeName") or None
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            owner=controller(metadata, "Job"),
            parent_uid=(metadata.get("labels") or {}).get(LABEL_UID, ""),
            parent=_parent(metadata),
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


def controller(metadata: JSON, *kinds: str) -> str:
    """The uid of the object's controller if it is of one of these kinds, else ""."""
    references = metadata.get("ownerReferences") or ()
    return next((str(r["uid"]) for r in references if r.get("controller") and r["kind"] in kinds), "")


def _parent(metadata: JSON) -> Key | None:
    """The TrainingJob or TrainingFleet that the labels name."""
    labels = metadata.get("labels") or {}
    name = labels.get(LABEL_NAME)
    return Key(labels.get(LABEL_KIND, KIND), metadata["namespace"], name) if name else None


def _unschedulable(scheduled: JSON) -> str | None:
    """The message of the scheduler if it found no node."""
    refused = scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable"
    return (scheduled.get("message") or "no node fits") if refused else None


def _count(label: str | None) -> int:
    return int(label) if label and label.isdigit() else 0
