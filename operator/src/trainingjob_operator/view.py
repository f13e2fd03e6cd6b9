"""Everything that a decision about one TrainingJob is made from, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from trainingjob_operator.model import Job, Pod, TrainingJob


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pod's trainer said it was; what it did not say is None.

    Attributes:
        pod: uid of the pod.
        time: When it was asked.
        stage: One of the trainer's stages.
        ratio: Share of the whole run that is done, 0 to 1.
        epoch: Epochs done.
        epochs: Epochs at most.
        loss: On the training part.
        validation_loss: On the validation part.
        completion: When the run will probably be done.
    """

    pod: str
    time: datetime
    stage: str | None = None
    ratio: float | None = None
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    validation_loss: float | None = None
    completion: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The API server's answer to the Job of one claim, when it was no."""

    claim: tuple[int, int]
    final: bool
    message: str


@dataclass(frozen=True)
class View:
    """Everything that a decision about one TrainingJob is made from.

    Attributes:
        trainingjob: The parent.
        jobs: Every Job that its uid controls.
        pods: The pods of these Jobs.
        seen: The newest claim that this process ever saw a Job of, (0, 0) for none.
        refusal: The API server's no to the claimed Job, if that was the last word.
        live: Whether Jobs and pods were just read from the API server, not from the watch.
    """

    trainingjob: TrainingJob
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    seen: tuple[int, int] = (0, 0)
    refusal: Refusal | None = None
    live: bool = False

    @cached_property
    def job(self) -> Job | None:
        """The Job of the claim: the one with the recorded uid, else the one that the claim names."""
        uid = self.trainingjob.status.get("jobUID")
        claim = self.trainingjob.claim
        mine = [job for job in self.jobs if (job.uid == uid if uid else job.claim == claim)]
        return max(mine, key=lambda job: job.version, default=None)

    @cached_property
    def tries(self) -> tuple[Pod, ...]:
        """The pods of the claimed Job, oldest first."""
        if self.job is None:
            return ()
        owner = self.job.uid
        return tuple(sorted((p for p in self.pods if p.owner == owner), key=lambda p: (p.created, p.version)))

    @cached_property
    def pod(self) -> Pod | None:
        """The pod that may still do something, newest first, else the last one that ended."""
        return next((p for p in reversed(self.tries) if p.live), self.tries[-1] if self.tries else None)

    @cached_property
    def strays(self) -> tuple[Job, ...]:
        """Jobs that the claim has left behind. Newer ones are no strays: their claim is not seen here yet."""
        claim, job = self.trainingjob.claim, self.job
        return tuple(j for j in self.jobs if j is not job and j.claim <= claim)
