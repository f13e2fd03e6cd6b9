"""Decides what to do about one TrainingJob. Pure: a function of the snapshot, the time and the configuration."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.hashing import attempt_hash, gates_hash, spec_hash
from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core import explanation, failures
from trainingjob_operator.core.deadlines import deadlines, overrun
from trainingjob_operator.core.decision import (
    CreateJob,
    Decision,
    DeleteJob,
    Explain,
    MarkForDeletion,
    Relist,
    Requeue,
    SetTTL,
    StartAttempt,
    Trigger,
)
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, TrainingJob
from trainingjob_operator.core.outcome import failed, job_ended, trainer_ended, without_accelerator
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import Specification, read_specification


def decide(snapshot: Snapshot, now: datetime, configuration: Configuration) -> Decision:
    """Decide what to do about one TrainingJob.

    Args:
        snapshot: The TrainingJob, its Jobs and its pods.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    decision = _first_applicable(snapshot, now, configuration)
    if isinstance(decision, Requeue):
        # No event tells that a pod has exceeded its grace period.
        times = [decision.at, *(failures.end_deadline(pod) for pod in snapshot.all_pods)]
        return replace(decision, at=min((t for t in times if t is not None and now < t), default=None))
    return decision


def _first_applicable(snapshot: Snapshot, now: datetime, configuration: Configuration) -> Decision:
    trainingjob = snapshot.trainingjob
    if trainingjob.deleting:
        return Requeue()
    specification = read_specification(trainingjob.spec)
    run, _ = trainingjob.current_attempt
    if run == 0:
        first: Trigger = "RetrainRequested" if trainingjob.retrain_request else "Created"
        return StartAttempt(1, 1, Reason.ACCEPTED, f"Run 1 is accepted: {first}", first)
    cleanup = _clean_up_stale_jobs(snapshot, specification)
    if cleanup is not None:
        return cleanup
    if trainingjob.ended:
        return _after_run(snapshot, specification)
    job = snapshot.job
    if trainingjob.status.get("jobDeletionReason"):
        return _marked_for_deletion(snapshot, job)
    if job is None:
        return _without_job(snapshot, now, configuration)
    if job.ended:
        return job_ended(snapshot, job, specification, now)
    return _unfinished(snapshot, job, now, specification, configuration)


def _clean_up_stale_jobs(snapshot: Snapshot, specification: Specification) -> Decision | None:
    """Delete an unfinished Job of an earlier attempt, set the time to live of a finished one."""
    for job in snapshot.stale_jobs:
        if job.deleting:
            continue
        if not job.ended:
            return DeleteJob(job)
        if job.ttl is None:
            return SetTTL(job, specification.run_policy.job_ttl_seconds_after_finished)
    return None


def _after_run(snapshot: Snapshot, specification: Specification) -> Decision:
    trainingjob, job = snapshot.trainingjob, snapshot.job
    if job is not None and not job.deleting:
        if not job.ended:
            return DeleteJob(job)
        if job.ttl is None:
            return SetTTL(job, specification.run_policy.job_ttl_seconds_after_finished)
    trigger = _new_run_trigger(trainingjob)
    if trigger is None:
        return Requeue()
    run = trainingjob.current_attempt.run + 1
    return StartAttempt(run, 1, Reason.ACCEPTED, f"Run {run} is accepted: {trigger}", trigger)


def _new_run_trigger(trainingjob: TrainingJob) -> Trigger | None:
    """Why a new run follows a run that has ended; None if no run follows."""
    status, spec = trainingjob.status, trainingjob.spec
    if _retrain_requested(trainingjob):
        return "RetrainRequested"
    if spec_hash(spec) != status.get("specHash"):
        return "SpecChanged"
    if trainingjob.ended == "Failed":
        return "SpecChanged" if trainingjob.generation != status.get("observedGeneration") else None
    return "GatesChanged" if gates_hash(spec) != status.get("gatesHash") else None


def _retrain_requested(trainingjob: TrainingJob) -> bool:
    """Whether the annotation has a value that the operator has not handled yet."""
    request = trainingjob.retrain_request
    return request is not None and request != trainingjob.status.get("observedRetrainRequest")


def _marked_for_deletion(snapshot: Snapshot, job: Job | None) -> Decision:
    """The Job is marked for deletion: delete it, and then start the next attempt or run."""
    if job is not None:
        return Requeue() if job.deleting else DeleteJob(job)
    if not snapshot.fresh:
        return Relist()
    trainingjob = snapshot.trainingjob
    run, attempt = trainingjob.current_attempt
    superseded = _superseding_run(trainingjob)
    if superseded is not None:
        return superseded
    if trainingjob.suspended:
        return Requeue()
    cause = Reason.known(trainingjob.status["jobDeletionReason"], Reason.SUPERSEDED)
    fall_back = cause is Reason.FELL_BACK_TO_CPU
    reason = Reason.FELL_BACK_TO_CPU if fall_back else Reason.ACCEPTED
    return StartAttempt(run, attempt + 1, reason, f"Attempt {attempt + 1} follows: {cause}", fall_back=fall_back)


def _superseding_run(trainingjob: TrainingJob) -> StartAttempt | None:
    """The run that replaces an unfinished run without a Job, if the spec hash has changed."""
    if spec_hash(trainingjob.spec) == trainingjob.status.get("specHash"):
        return None
    run = trainingjob.current_attempt.run + 1
    trigger: Trigger = "RetrainRequested" if _retrain_requested(trainingjob) else "SpecChanged"
    return StartAttempt(run, 1, Reason.ACCEPTED, f"Run {run} is accepted: {trigger}", trigger)


def _without_job(snapshot: Snapshot, now: datetime, configuration: Configuration) -> Decision:
    trainingjob = snapshot.trainingjob
    if trainingjob.status.get("jobUID") or snapshot.last_seen_attempt == trainingjob.current_attempt:
        if not snapshot.fresh:
            return Relist()
        name = trainingjob.status.get("jobName")
        message = f"Job {name} was deleted, not by the operator; any change of the spec starts a new run"
        if snapshot.orphans:
            message += f", once the pod that outlived the Job has ended: kubectl delete pod {snapshot.orphans[0].name}"
        return failed(Failure(Reason.JOB_DELETED, message, now))
    superseded = _superseding_run(trainingjob)
    if superseded is not None:
        return superseded
    if trainingjob.suspended or any(not job.ended for job in snapshot.stale_jobs):
        return Requeue()
    if any(pod.is_active for pod in snapshot.leftover_pods):
        # Their Job was deleted without them, or before they ended. Only one trainer may run at a time.
        return Requeue()
    device = requested_device(trainingjob.spec, configuration, fell_back=has_fallen_back(trainingjob.status))
    if device != trainingjob.status.get("device") or gates_hash(trainingjob.spec) != trainingjob.status["gatesHash"]:
        run, attempt = trainingjob.current_attempt
        return StartAttempt(run, attempt + 1, Reason.ACCEPTED, "The spec changed before the Job was created")
    resource = device.get("resourceName")
    if resource and resource not in configuration.images_accelerator:
        message = (
            f"The operator is configured with no trainer image for {resource} (TRAINER_IMAGES_ACCELERATOR); "
            f"known: {', '.join(sorted(configuration.images_accelerator)) or 'none'}"
        )
        return without_accelerator(snapshot, Failure(Reason.INVALID_CONFIGURATION, message, now))
    error = snapshot.create_error
    if error is not None and error.final and error.attempt == trainingjob.current_attempt:
        message = f"The API server refuses the Job: {error.message}"
        return failed(Failure(Reason.INVALID_CONFIGURATION, message, now))
    return CreateJob()


def _unfinished(
    snapshot: Snapshot, job: Job, now: datetime, specification: Specification, configuration: Configuration
) -> Decision:
    """The Job is unfinished: check its trainer, whether the spec has changed, and the deadlines."""
    if job.deleting:
        return Requeue()
    early = _ended_early(snapshot, job, now, specification) or _outdated(snapshot.trainingjob, job)
    if early is not None:
        return early
    first = min(deadlines(snapshot, specification, configuration), key=lambda deadline: deadline.due, default=None)
    if first is None or now < first.due:
        unexplained = explanation.read_at(snapshot)
        if unexplained is not None and unexplained <= now:
            return Explain(job)
        times = [t for t in (unexplained, first.due if first else None) if t is not None]
        return Requeue(min(times, default=None))
    if not snapshot.fresh:
        return Relist()
    if first.reason is Reason.FELL_BACK_TO_CPU:
        return MarkForDeletion(first.reason, first.message)
    return failed(Failure(first.reason, first.message, now), delete=True)


def _ended_early(snapshot: Snapshot, job: Job, now: datetime, specification: Specification) -> Decision | None:
    """Handle a trainer that has ended, or a Job that is failing, while the Job waits for its pod."""
    pod = snapshot.pod
    if pod is None or job.suspended:
        return None
    if pod.termination is not None:
        ended = trainer_ended(snapshot, pod, pod.termination.exit_code, now)
        if ended is not None:
            return ended
    if job.failing and pod.is_active and (lost := failures.termination_overdue(pod, now)):
        if not snapshot.fresh:
            return Relist()
        reason = Reason.known(job.failing, Reason.BACKOFF_LIMIT_EXCEEDED)
        cause = overrun(specification) if reason is Reason.DEADLINE_EXCEEDED else f"The Job fails, {job.failing}"
        return failed(Failure(reason, f"{cause}. {lost}", now), delete=True)
    return None


def _outdated(trainingjob: TrainingJob, job: Job) -> MarkForDeletion | None:
    """Mark a Job for deletion that the current spec does not want."""
    if spec_hash(trainingjob.spec) != trainingjob.status.get("specHash"):
        return MarkForDeletion(Reason.SUPERSEDED, "The spec changed: a new run replaces this one")
    if trainingjob.suspended:
        return MarkForDeletion(
            Reason.SUSPENDED, "spec.runPolicy.suspend is set: the trainer saves a checkpoint and stops"
        )
    if attempt_hash(trainingjob.spec) != job.attempt_hash:
        return MarkForDeletion(
            Reason.SUPERSEDED, "The spec changed: the run continues in a new attempt, from its checkpoint"
        )
    return None
