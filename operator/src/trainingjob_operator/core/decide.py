"""Decides what to do about one TrainingJob or TrainingFleet. Pure: a function of its arguments."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core import explanation, failures
from trainingjob_operator.core.deadlines import deadlines
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
)
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job
from trainingjob_operator.core.outcome import ended_early, failed, job_ended, without_accelerator
from trainingjob_operator.core.parent import Parent
from trainingjob_operator.core.run_input import LONGEST_VARIABLE, run_of
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import Specification, read_specification
from trainingjob_operator.core.triggers import next_schedule_time, skip_run, start_run, supersede


def decide(snapshot: Snapshot, now: datetime, configuration: Configuration) -> Decision:
    """Decide what to do about one TrainingJob or TrainingFleet.

    Args:
        snapshot: The TrainingJob or TrainingFleet, its Jobs and its pods.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    decision = _first_applicable(snapshot, now, configuration)
    if isinstance(decision, Requeue):
        # No event tells that a pod has exceeded its grace period, or that a run is due.
        times = [decision.at, *(failures.end_deadline(pod) for pod in snapshot.all_pods)]
        times.append(next_schedule_time(snapshot.parent, now))
        return replace(decision, at=min((t for t in times if t is not None and now < t), default=None))
    return decision


def _first_applicable(snapshot: Snapshot, now: datetime, configuration: Configuration) -> Decision:
    parent = snapshot.parent
    if parent.deleting:
        return Requeue()
    specification = read_specification(parent)
    if parent.current_attempt.run == 0:
        return start_run(parent, now) or Requeue()
    cleanup = _clean_up_stale_jobs(snapshot, specification)
    if cleanup is not None:
        return cleanup
    if parent.ended:
        return _after_run(snapshot, specification, now)
    skipped = skip_run(parent, now)
    if skipped is not None:
        return skipped
    job = snapshot.job
    if parent.status.get("jobDeletionReason"):
        return _marked_for_deletion(snapshot, job)
    if job is None:
        return _without_job(snapshot, now, specification, configuration)
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


def _after_run(snapshot: Snapshot, specification: Specification, now: datetime) -> Decision:
    job = snapshot.job
    if job is not None and not job.deleting:
        if not job.ended:
            return DeleteJob(job)
        if job.ttl is None:
            return SetTTL(job, specification.run_policy.job_ttl_seconds_after_finished)
    return start_run(snapshot.parent, now) or Requeue()


def _marked_for_deletion(snapshot: Snapshot, job: Job | None) -> Decision:
    """The Job is marked for deletion: delete it, and then start the next attempt or run."""
    if job is not None:
        return Requeue() if job.deleting else DeleteJob(job)
    if not snapshot.fresh:
        return Relist()
    parent = snapshot.parent
    run, attempt = parent.current_attempt
    superseded = supersede(parent)
    if superseded is not None:
        return superseded
    if parent.suspended:
        return Requeue()
    cause = Reason.known(parent.status["jobDeletionReason"], Reason.SUPERSEDED)
    fall_back = cause is Reason.FELL_BACK_TO_CPU
    reason = Reason.FELL_BACK_TO_CPU if fall_back else Reason.ACCEPTED
    return StartAttempt(run, attempt + 1, reason, f"Attempt {attempt + 1} follows: {cause}", fall_back=fall_back)


def _without_job(
    snapshot: Snapshot, now: datetime, specification: Specification, configuration: Configuration
) -> Decision:
    parent = snapshot.parent
    if parent.status.get("jobUID") or snapshot.last_seen_attempt == parent.current_attempt:
        if not snapshot.fresh:
            return Relist()
        name = parent.status.get("jobName")
        message = f"Job {name} was deleted, not by the operator; any change of the spec starts a new run"
        if snapshot.orphans:
            message += f", once the pod that outlived the Job has ended: kubectl delete pod {snapshot.orphans[0].name}"
        return failed(Failure(Reason.JOB_DELETED, message, now))
    superseded = supersede(parent)
    if superseded is not None:
        return superseded
    if parent.suspended or any(not job.ended for job in snapshot.stale_jobs):
        return Requeue()
    if any(pod.is_active for pod in snapshot.leftover_pods):
        # Their Job was deleted without them, or before they ended. Only one trainer may run at a time.
        return Requeue()
    device = requested_device(parent, configuration, fell_back=has_fallen_back(parent.status))
    if device != parent.status.get("device") or parent.gates_hash != parent.status["gatesHash"]:
        run, attempt = parent.current_attempt
        return StartAttempt(run, attempt + 1, Reason.ACCEPTED, "The spec changed before the Job was created")
    return _refusal(snapshot, device.get("resourceName"), now, specification, configuration) or CreateJob()


def _refusal(
    snapshot: Snapshot,
    resource: str | None,
    now: datetime,
    specification: Specification,
    configuration: Configuration,
) -> Decision | None:
    """What follows if the Job cannot be created, whenever it is tried; None if it can."""
    if resource and resource not in configuration.images_accelerator:
        message = (
            f"The operator is configured with no trainer image for {resource} (TRAINER_IMAGES_ACCELERATOR); "
            f"known: {', '.join(sorted(configuration.images_accelerator)) or 'none'}"
        )
        return without_accelerator(snapshot, Failure(Reason.INVALID_CONFIGURATION, message, now))
    error = snapshot.create_error
    if error is not None and error.final and error.attempt == snapshot.parent.current_attempt:
        message = f"The API server refuses the Job: {error.message}"
        return failed(Failure(Reason.INVALID_CONFIGURATION, message, now))
    length = run_of(snapshot.parent, specification).bytes
    if length > LONGEST_VARIABLE:
        message = (
            f"The spec takes {length} bytes as an environment variable of the pod, and Linux allows "
            f"{LONGEST_VARIABLE}; use spec.machines.matching instead of a long list of names"
        )
        return failed(Failure(Reason.INVALID_CONFIGURATION, message, now))
    return None


def _unfinished(
    snapshot: Snapshot, job: Job, now: datetime, specification: Specification, configuration: Configuration
) -> Decision:
    """The Job is unfinished: check its trainer, whether the spec has changed, and the deadlines."""
    if job.deleting:
        return Requeue()
    early = ended_early(snapshot, job, now, specification) or _outdated(snapshot.parent, job)
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


def _outdated(parent: Parent, job: Job) -> MarkForDeletion | None:
    """Mark a Job for deletion that the current spec does not want."""
    if parent.spec_hash != parent.status.get("specHash"):
        return MarkForDeletion(Reason.SUPERSEDED, "The spec changed: a new run replaces this one")
    if parent.suspended:
        return MarkForDeletion(
            Reason.SUSPENDED, "spec.runPolicy.suspend is set: the trainer saves its progress and stops"
        )
    if parent.attempt_hash != job.attempt_hash:
        return MarkForDeletion(
            Reason.SUPERSEDED, "The spec changed: the run continues in a new attempt, with the progress that was saved"
        )
    return None
