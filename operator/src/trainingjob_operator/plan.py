"""Decides what to do next about one TrainingJob. Pure: a function of what is known and of the time.

The order is claim, then act: a decision that changes the claim is written to the status and nothing else happens; an
effect is decided only from a status that already says so. Whoever loses a race, or dies between two steps, looks again
and decides the same.
"""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from trainingjob_operator import diagnosis
from trainingjob_operator.configuration import Configuration
from trainingjob_operator.deadlines import deadlines
from trainingjob_operator.device import has_fallen_back, requested_device
from trainingjob_operator.diagnosis import Failure
from trainingjob_operator.model import Job, TrainingJob
from trainingjob_operator.reasons import Reason
from trainingjob_operator.report import Report, read
from trainingjob_operator.specification import (
    Specification,
    attempt_hash,
    gates_hash,
    read_specification,
    spec_hash,
)
from trainingjob_operator.view import View

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
class Expire:
    """Let the API server delete this finished Job after ``seconds``."""

    job: Job
    seconds: int


@dataclass(frozen=True, slots=True)
class Confirm:
    """Read Jobs and pods from the API server before deciding what cannot be taken back."""


@dataclass(frozen=True, slots=True)
class Observe:
    """Nothing to do but to tell what is seen; look again at ``again`` even if nothing happens."""

    again: datetime | None = None


Decision = Claim | Announce | Finish | Create | Delete | Expire | Confirm | Observe


def plan(view: View, now: datetime, configuration: Configuration) -> Decision:
    """Decide the next step for one TrainingJob.

    Args:
        view: What is known of it.
        now: The time, with a time zone.
        configuration: What the operator was deployed with.
    """
    trainingjob = view.trainingjob
    if trainingjob.deleting:
        return Observe()
    specification = read_specification(trainingjob.spec)
    run, _ = trainingjob.claim
    if run == 0:
        first: Trigger = "RetrainRequested" if trainingjob.retrain_request else "Created"
        return Claim(1, 1, Reason.ACCEPTED, f"Run 1 is accepted: {first}", first)
    left_behind = _left_behind(view, specification)
    if left_behind is not None:
        return left_behind
    if trainingjob.ended:
        return _after_the_end(view, specification)
    job = view.job
    if trainingjob.status.get("jobDeletionReason"):
        return _going(view, job)
    if job is None:
        return _without_job(view, now, specification, configuration)
    if job.ended:
        return _result(view, job, specification, now)
    return _under_way(view, job, now, specification, configuration)


def _left_behind(view: View, specification: Specification) -> Decision | None:
    """What to do about Jobs of earlier claims: an unfinished one must go, a finished one gets its time to live."""
    for job in view.strays:
        if job.deleting:
            continue
        if not job.ended:
            return Delete(job)
        if job.ttl is None:
            return Expire(job, specification.run_policy.job_ttl_seconds_after_finished)
    return None


def _after_the_end(view: View, specification: Specification) -> Decision:
    trainingjob, job = view.trainingjob, view.job
    if job is not None and not job.deleting:
        if not job.ended:
            return Delete(job)
        if job.ttl is None:
            return Expire(job, specification.run_policy.job_ttl_seconds_after_finished)
    trigger = _new_run(trainingjob)
    if trigger is None:
        return Observe()
    run = trainingjob.claim[0] + 1
    return Claim(run, 1, Reason.ACCEPTED, f"Run {run} is accepted: {trigger}", trigger)


def _new_run(trainingjob: TrainingJob) -> Trigger | None:
    """Why a run that has ended is followed by another one."""
    status, spec = trainingjob.status, trainingjob.spec
    if _retrain_requested(trainingjob):
        return "RetrainRequested"
    if spec_hash(spec) != status.get("specHash"):
        return "SpecChanged"
    if trainingjob.ended == "Failed":
        return "SpecChanged" if trainingjob.generation != status.get("observedGeneration") else None
    return "GatesChanged" if gates_hash(spec) != status.get("gatesHash") else None


def _retrain_requested(trainingjob: TrainingJob) -> bool:
    """Whether the annotation has a value that was not acted on yet."""
    request = trainingjob.retrain_request
    return request is not None and request != trainingjob.status.get("observedRetrainRequest")


def _going(view: View, job: Job | None) -> Decision:
    """The deletion of the Job is announced: see it done, then go on."""
    if job is not None:
        return Observe() if job.deleting else Delete(job)
    if not view.live:
        return Confirm()
    trainingjob = view.trainingjob
    run, attempt = trainingjob.claim
    superseded = _superseding(trainingjob)
    if superseded is not None:
        return superseded
    if trainingjob.suspended:
        return Observe()
    announced = Reason.known(trainingjob.status["jobDeletionReason"], Reason.SUPERSEDED)
    fall_back = announced is Reason.FELL_BACK_TO_CPU
    reason = Reason.FELL_BACK_TO_CPU if fall_back else Reason.ACCEPTED
    return Claim(run, attempt + 1, reason, f"Attempt {attempt + 1} follows: {announced}", fall_back=fall_back)


def _superseding(trainingjob: TrainingJob) -> Claim | None:
    """The claim that a changed specHash asks for while a run is unfinished and has no Job."""
    if spec_hash(trainingjob.spec) == trainingjob.status.get("specHash"):
        return None
    run = trainingjob.claim[0] + 1
    trigger: Trigger = "RetrainRequested" if _retrain_requested(trainingjob) else "SpecChanged"
    return Claim(run, 1, Reason.ACCEPTED, f"Run {run} is accepted: {trigger}", trigger)


def _without_job(view: View, now: datetime, specification: Specification, configuration: Configuration) -> Decision:
    trainingjob = view.trainingjob
    if trainingjob.status.get("jobUID") or view.seen == trainingjob.claim:
        if not view.live:
            return Confirm()
        name = trainingjob.status.get("jobName")
        message = f"Job {name} was deleted, not by the operator; any change of the spec starts a new run"
        return _failed(Failure(Reason.JOB_DELETED, message, now))
    superseded = _superseding(trainingjob)
    if superseded is not None:
        return superseded
    if trainingjob.suspended or any(not stray.ended for stray in view.strays):
        return Observe()
    device = requested_device(trainingjob.spec, configuration, fell_back=has_fallen_back(trainingjob.status))
    if device != trainingjob.status.get("device") or gates_hash(trainingjob.spec) != trainingjob.status["gatesHash"]:
        run, attempt = trainingjob.claim
        return Claim(run, attempt + 1, Reason.ACCEPTED, "The spec changed before the Job was created")
    resource = device.get("resourceName")
    if resource and resource not in configuration.images_accelerator:
        message = (
            f"The operator is configured with no trainer image for {resource} (TRAINER_IMAGES_ACCELERATOR); "
            f"known: {', '.join(sorted(configuration.images_accelerator)) or 'none'}"
        )
        return _without_accelerator(view, Failure(Reason.INVALID_CONFIGURATION, message, now))
    refusal = view.refusal
    if refusal is not None and refusal.final and refusal.claim == trainingjob.claim:
        message = f"The API server refuses the Job: {refusal.message}"
        return _failed(Failure(Reason.INVALID_CONFIGURATION, message, now))
    return Create()


def _under_way(
    view: View, job: Job, now: datetime, specification: Specification, configuration: Configuration
) -> Decision:
    """The Job is unfinished: is it still the right one, and is it in time."""
    trainingjob = view.trainingjob
    if job.deleting:
        return Observe()
    if spec_hash(trainingjob.spec) != trainingjob.status.get("specHash"):
        return Announce(Reason.SUPERSEDED, "The spec changed: the run gives way to a new one")
    if trainingjob.suspended:
        return Announce(Reason.SUSPENDED, "spec.runPolicy.suspend is set: the trainer saves a checkpoint and stops")
    if attempt_hash(trainingjob.spec) != job.attempt_hash:
        return Announce(Reason.SUPERSEDED, "The spec changed: the run goes on in a new attempt, from its checkpoint")
    first = min(deadlines(view, specification, configuration), key=lambda deadline: deadline.due, default=None)
    if first is None or now < first.due:
        return Observe(first.due if first else None)
    if not view.live:
        return Confirm()
    if first.reason is Reason.FELL_BACK_TO_CPU:
        return Announce(first.reason, first.message)
    return _failed(Failure(first.reason, first.message, now), delete=True)


def _result(view: View, job: Job, specification: Specification, now: datetime) -> Decision:
    """The Job has ended: what that makes of the run."""
    trainingjob, last = view.trainingjob, view.tries[-1] if view.tries else None
    run, attempt = trainingjob.claim
    time = job.end_time or now
    report = read(last, trainingjob.uid, run) if last else None
    if job.ended == "Complete":
        if report and report.outcome == "Succeeded":
            return Finish("Succeeded", report.reason, report.message or "The model is registered", time, report)
        if not view.live:
            return Confirm()
        lost = "The trainer ended well, but its report cannot be read"
        if (trainingjob.status.get("lastFailure") or {}).get("reason") == Reason.RETRYING:
            return _failed(Failure(Reason.TRAINER_ERROR, f"{lost}, twice; look for the run in the registry", time))
        message = f"{lost}; one more attempt finds the run in the registry"
        return Claim(run, attempt + 1, Reason.RETRYING, message, failure=Failure(Reason.RETRYING, message, time))
    if job.end_reason == Reason.DEADLINE_EXCEEDED:
        seconds = specification.run_policy.active_deadline_seconds
        message = f"The attempt took longer than spec.runPolicy.activeDeadlineSeconds = {seconds} s"
        return _failed(Failure(Reason.DEADLINE_EXCEEDED, message, time))
    if (last is None or last.live) and not view.live:
        return Confirm()
    if last is None or last.live:
        return _failed(Failure(Reason.BACKOFF_LIMIT_EXCEEDED, f"The Job failed: {job.end_message}", time))
    failure = diagnosis.failure(last, trainingjob.uid, run)
    if failure.exit_code == diagnosis.EXIT_ACCELERATOR_MISSING:
        return _without_accelerator(view, failure, report)
    if job.end_reason == Reason.BACKOFF_LIMIT_EXCEEDED:
        message = f"{failure.message} (failure {job.failures}, more than spec.runPolicy.backoffLimit allows)"
        failure = Failure(failure.reason, message, failure.time, failure.exit_code)
    return _failed(failure, report=report)


def _without_accelerator(view: View, failure: Failure, report: Report | None = None) -> Decision:
    """The accelerator cannot be had: go on without where the policy allows it."""
    run, attempt = view.trainingjob.claim
    device = view.trainingjob.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message = f"{failure.message}; the run goes on without"
        return Claim(run, attempt + 1, Reason.FELL_BACK_TO_CPU, message, fall_back=True, failure=failure)
    return _failed(failure, report=report)


def _failed(failure: Failure, *, report: Report | None = None, delete: bool = False) -> Finish:
    return Finish("Failed", failure.reason, failure.message, failure.time, report, failure, delete)
