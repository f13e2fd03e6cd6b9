"""The decisions that the operator can make about one TrainingJob. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import Report
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, Pod

Trigger = Literal["Created", "SpecChanged", "GatesChanged", "RetrainRequested"]


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Write run and attempt to the status. ``trigger`` is None for a further attempt of the same run."""

    run: int
    attempt: int
    reason: Reason
    message: str
    trigger: Trigger | None = None
    fall_back: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class MarkForDeletion:
    """Write to the status why the Job of the current attempt is to be deleted."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class FinishRun:
    """Write the result of the run to the status. ``delete`` also marks its Job for deletion."""

    outcome: Literal["Succeeded", "Failed"]
    reason: Reason
    message: str
    time: datetime
    report: Report | None = None
    failure: Failure | None = None
    delete: bool = False


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Create the Job of the current attempt."""


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete this Job, in the foreground and with its uid as precondition."""

    job: Job


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete this pod, with its uid as precondition: its trainer has failed, but another container keeps it running."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class SetTTL:
    """Set the time to live of this finished Job."""

    job: Job
    seconds: int


@dataclass(frozen=True, slots=True)
class Relist:
    """Read Jobs and pods from the API server before a decision that cannot be reverted."""


@dataclass(frozen=True, slots=True)
class Explain:
    """Read why this Job has no pod, from its Events or from the Workload of Kueue."""

    job: Job


@dataclass(frozen=True, slots=True)
class Requeue:
    """Do nothing until an event, or until ``at`` if no event comes."""

    at: datetime | None = None


Decision = (
    StartAttempt | MarkForDeletion | FinishRun | CreateJob | DeleteJob | DeletePod | SetTTL | Relist | Explain | Requeue
)
