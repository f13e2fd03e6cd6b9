"""Everything that a decision about one TrainingJob is made from, put together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from trainingjob_operator.core.objects import Job, Pod, TrainingJob


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
    """The API server's answer to the Job of one claim, when it was no.

    Attributes:
        claim: Run and attempt of the Job.
        final: Whether the API server would never take this Job.
        message: The API server's words.
        tries: How often in a row it has answered so.
    """

    claim: tuple[int, int]
    final: bool
    message: str
    tries: int = 1


@dataclass(frozen=True, slots=True)
class Explanation:
    """What others say about why a Job has no pod: Kueue, or the Job controller.

    Attributes:
        job: uid and resourceVersion of the Job that it is about.
        time: When it was read.
        text: Their words; None where they say nothing, or where the operator may not read it.
    """

    job: tuple[str, int]
    time: datetime
    text: str | None


@dataclass(frozen=True)
class View:
    """Everything that a decision about one TrainingJob is made from.

    Attributes:
        trainingjob: The parent.
        jobs: Every Job that its uid controls.
        pods: Every pod that is labelled with its uid, of these Jobs or of none.
        seen: The newest claim that this process ever saw a Job of, (0, 0) for none.
        refusal: The API server's no to the claimed Job, if that was the last word.
        live: Whether Jobs and pods were just read from the API server, not from the watch.
        explanation: Why a Job has no pod, if anybody was asked.
    """

    trainingjob: TrainingJob
    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    seen: tuple[int, int] = (0, 0)
    refusal: Refusal | None = None
    live: bool = False
    explanation: Explanation | None = None

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

    @cached_property
    def leftover_pods(self) -> tuple[Pod, ...]:
        """Pods that are not of the claimed Job: a trainer of this TrainingJob may still run in those that are live."""
        owner = self.job.uid if self.job else None
        return tuple(sorted((p for p in self.pods if p.owner != owner), key=lambda p: (p.created, p.version)))

    @cached_property
    def orphans(self) -> tuple[Pod, ...]:
        """Live pods whose Job was deleted without them, and that nobody ends."""
        return tuple(p for p in self.leftover_pods if p.live and not p.owner and p.deletion is None)
