"""Everything that a decision about one TrainingJob or TrainingFleet is made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import NO_ATTEMPT, Attempt, Parent


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a trainer; None for each value that it does not report.

    Attributes:
        pod: uid of the pod.
        time: When it was read.
        stage: One of the trainer's stages.
        ratio: Share of the whole run that is done, 0 to 1.
        epoch: Epochs done.
        epochs: Epochs at most.
        loss: On the training part.
        validation_loss: On the validation part.
        completion: Estimated end of the run.
        machines: Machines of a fleet's run by state, and how many were selected.
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
    machines: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class CreateError:
    """The error of the last request to create the Job of an attempt.

    Attributes:
        attempt: The attempt of the Job.
        final: Whether the API server will never accept this Job.
        message: What the API server answered.
        count: How many requests in a row have failed.
    """

    attempt: Attempt
    final: bool
    message: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a Job has no pod, as Kueue or the Job controller says.

    Attributes:
        job: uid and resourceVersion of the Job.
        time: When it was read.
        text: The message; None if there is none, or if the operator may not read it.
    """

    job: tuple[str, int]
    time: datetime
    text: str | None


@dataclass(frozen=True)
class Snapshot:
    """Everything that a decision about one TrainingJob or TrainingFleet is made from.

    Attributes:
        parent: The TrainingJob or TrainingFleet.
        jobs: Every Job that its uid controls.
        all_pods: Every pod that is labelled with its uid, of these Jobs or of none.
        last_seen_attempt: The newest attempt that this process has ever seen a Job of.
        create_error: The error of the last request to create the current Job, None if it succeeded.
        fresh: Whether Jobs and pods were just read from the API server, not received by a watch.
        explanation: Why a Job has no pod, if it was read.
    """

    parent: Parent
    jobs: tuple[Job, ...] = ()
    all_pods: tuple[Pod, ...] = ()
    last_seen_attempt: Attempt = NO_ATTEMPT
    create_error: CreateError | None = None
    fresh: bool = False
    explanation: Explanation | None = None

    @cached_property
    def job(self) -> Job | None:
        """The current Job: the one whose uid is in the status, else the one of the current attempt."""
        uid = self.parent.status.get("jobUID")
        attempt = self.parent.current_attempt
        matching = [job for job in self.jobs if (job.uid == uid if uid else job.attempt == attempt)]
        return max(matching, key=lambda job: job.version, default=None)

    @cached_property
    def pods(self) -> tuple[Pod, ...]:
        """The pods of the current Job, oldest first."""
        if self.job is None:
            return ()
        owner = self.job.uid
        return tuple(sorted((p for p in self.all_pods if p.owner == owner), key=lambda p: (p.created, p.version)))

    @cached_property
    def pod(self) -> Pod | None:
        """The pod of the current Job that is furthest: it runs, has a node, or is active; else the last that ended."""
        return max(reversed(self.pods), key=_advance, default=None)

    @cached_property
    def stale_jobs(self) -> tuple[Job, ...]:
        """Jobs of earlier attempts. A Job of a newer attempt is not stale: the status is behind."""
        attempt, current = self.parent.current_attempt, self.job
        return tuple(job for job in self.jobs if job is not current and job.attempt <= attempt)

    @cached_property
    def leftover_pods(self) -> tuple[Pod, ...]:
        """Pods that are not of the current Job. In each active one, a trainer may still run."""
        owner = self.job.uid if self.job else None
        return tuple(sorted((p for p in self.all_pods if p.owner != owner), key=lambda p: (p.created, p.version)))

    @cached_property
    def orphans(self) -> tuple[Pod, ...]:
        """Active pods whose Job was deleted without them, and that are not being deleted."""
        return tuple(p for p in self.leftover_pods if p.is_active and not p.owner and p.deletion is None)


def _advance(pod: Pod) -> int:
    """How far a pod is; a pod that is being deleted, or whose trainer has ended, comes after one that works."""
    if not pod.is_active:
        return 0
    if pod.node is None:
        return 1
    if pod.deletion is not None or pod.termination is not None:
        return 2
    return 4 if pod.phase == "Running" else 3
