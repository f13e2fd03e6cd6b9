"""The decisions that the operator can make about one TrainingJob or TrainingFleet. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import Report
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, Pod

Trigger = Literal["Created", "SpecChanged", "GatesChanged", "RetrainRequested", "Scheduled"]


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Write run and attempt to the status.

    Attributes:
        trigger: Why the run starts; None for a further attempt of the same run.
        scheduled: The scheduled minute that the run is started for.
        retry_failed: Whether the attempt tries the failed machines of a run that had ended.
    """

    run: int
    attempt: int
    reason: Reason
    message: str
    trigger: Trigger | None = None
    fall_back: bool = False
    failure: Failure | None = None
    scheduled: datetime | None = None
    retry_failed: bool = False


@dataclass(frozen=True, slots=True)
class SkipRun:
    """Write that a scheduled run or a request is not acted on, and report it as an Event.

    Attributes:
        message: What is skipped, and why.
        fields: Fields of the status by which it is not skipped again.
    """

    message: str
    fields: Mapping[str, str]


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
    StartAttempt
    | SkipRun
    | MarkForDeletion
    | FinishRun
    | CreateJob
    | DeleteJob
    | DeletePod
    | SetTTL
    | Relist
    | Explain
    | Requeue
)
