"""What the operator may decide to do next about one TrainingJob. Pure data."""

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
class Claim:
    """Write that this run and attempt is next. ``trigger`` is None for a further attempt of the same run."""

    run: int
    attempt: int
    reason: Reason
    message: str
    trigger: Trigger | None = None
    fall_back: bool = False
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Announce:
    """Write why the Job of the claim is to go."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Write that the run has ended, and how. ``delete`` announces that its Job is to go."""

    outcome: Literal["Succeeded", "Failed"]
    reason: Reason
    message: str
    time: datetime
    report: Report | None = None
    failure: Failure | None = None
    delete: bool = False


@dataclass(frozen=True, slots=True)
class Create:
    """POST the Job of the claim."""


@dataclass(frozen=True, slots=True)
class Delete:
    """DELETE this Job, in the foreground, if it still has that uid."""

    job: Job


@dataclass(frozen=True, slots=True)
class End:
    """DELETE this pod, if it still has that uid: its trainer has failed, and what else runs in it hides that."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class Expire:
    """Let the API server delete this finished Job after ``seconds``."""

    job: Job
    seconds: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Read Jobs and pods from the API server before deciding what cannot be taken back."""


@dataclass(frozen=True, slots=True)
class Explain:
    """Read what others say about why this Job has no pod, before telling that it has none."""

    job: Job


@dataclass(frozen=True, slots=True)
class Observe:
    """Nothing to do but to tell what is seen; look again at ``again`` even if nothing happens."""

    again: datetime | None = None


Decision = Claim | Announce | Finish | Create | Delete | End | Expire | Confirm | Explain | Observe
