"""Decides what to do next about one TrainingJob. Pure: a function of what is known and of the time.

The order is claim, then act: a decision that changes the claim is written to the status and nothing else happens; an
effect is decided only from a status that already says so. Whoever loses a race, or dies between two steps, looks again
and decides the same.
"""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.hashing import attempt_hash, gates_hash, spec_hash
from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core import explanation
from trainingjob_operator.core import failures as diagnosis
from trainingjob_operator.core.deadlines import deadlines, overrun
from trainingjob_operator.core.decision import (
    Announce,
    Claim,
    Confirm,
    Create,
    Decision,
    Delete,
    Expire,
    Explain,
    Observe,
    Trigger,
)
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, TrainingJob
from trainingjob_operator.core.outcome import failed, job_ended, trainer_ended, without_accelerator
from trainingjob_operator.core.snapshot import View
from trainingjob_operator.core.specification import Specification, read_specification


def plan(view: View, now: datetime, configuration: Configuration) -> Decision:
    """Decide the next step for one TrainingJob.

    Args:
        view: What is known of it.
        now: The time, with a time zone.
        configuration: What the operator was deployed with.
    """
    decision = _decide(view, now, configuration)
    if isinstance(decision, Observe):
        # A pod that does not end in time makes no event.
        times = [decision.again, *(diagnosis.overdue(pod) for pod in view.pods)]
        return replace(decision, again=min((t for t in times if t is not None and now < t), default=None))
    return decision


def _decide(view: View, now: datetime, configuration: Configuration) -> Decision:
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
        return job_ended(view, job, specification, now)
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
        if view.orphans:
            message += f", once the pod that outlived the Job has ended: kubectl delete pod {view.orphans[0].name}"
        return failed(Failure(Reason.JOB_DELETED, message, now))
    superseded = _superseding(trainingjob)
    if superseded is not None:
        return superseded
    if trainingjob.suspended or any(not stray.ended for stray in view.strays):
        return Observe()
    if any(pod.live for pod in view.leftover_pods):
        # Of a Job that was deleted without its pods, or faster than they end: one trainer at a time.
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
        return without_accelerator(view, Failure(Reason.INVALID_CONFIGURATION, message, now))
    refusal = view.refusal
    if refusal is not None and refusal.final and refusal.claim == trainingjob.claim:
        message = f"The API server refuses the Job: {refusal.message}"
        return failed(Failure(Reason.INVALID_CONFIGURATION, message, now))
    return Create()


def _under_way(
    view: View, job: Job, now: datetime, specification: Specification, configuration: Configuration
) -> Decision:
    """The Job is unfinished: did its trainer end, is it still the right one, and is it in time."""
    if job.deleting:
        return Observe()
    early = _ended_early(view, job, now, specification) or _no_longer_wanted(view.trainingjob, job)
    if early is not None:
        return early
    first = min(deadlines(view, specification, configuration), key=lambda deadline: deadline.due, default=None)
    if first is None or now < first.due:
        unexplained = explanation.to_be_read(view)
        if unexplained is not None and unexplained <= now:
            return Explain(job)
        times = [t for t in (unexplained, first.due if first else None) if t is not None]
        return Observe(min(times, default=None))
    if not view.live:
        return Confirm()
    if first.reason is Reason.FELL_BACK_TO_CPU:
        return Announce(first.reason, first.message)
    return failed(Failure(first.reason, first.message, now), delete=True)


def _ended_early(view: View, job: Job, now: datetime, specification: Specification) -> Decision | None:
    """What has ended though the Job, which waits for its pods, does not say so."""
    pod = view.pod
    if pod is None or job.suspended:
        return None
    if pod.termination is not None:
        ended = trainer_ended(view, pod, pod.termination.exit_code, now)
        if ended is not None:
            return ended
    if job.failing and pod.live and (lost := diagnosis.not_ended(pod, now)):
        if not view.live:
            return Confirm()
        reason = Reason.known(job.failing, Reason.BACKOFF_LIMIT_EXCEEDED)
        cause = overrun(specification) if reason is Reason.DEADLINE_EXCEEDED else f"The Job fails, {job.failing}"
        return failed(Failure(reason, f"{cause}. {lost}", now), delete=True)
    return None


def _no_longer_wanted(trainingjob: TrainingJob, job: Job) -> Announce | None:
    """Why the spec, as it is now, wants this Job to go."""
    if spec_hash(trainingjob.spec) != trainingjob.status.get("specHash"):
        return Announce(Reason.SUPERSEDED, "The spec changed: the run gives way to a new one")
    if trainingjob.suspended:
        return Announce(Reason.SUSPENDED, "spec.runPolicy.suspend is set: the trainer saves a checkpoint and stops")
    if attempt_hash(trainingjob.spec) != job.attempt_hash:
        return Announce(Reason.SUPERSEDED, "The spec changed: the run goes on in a new attempt, from its checkpoint")
    return None
