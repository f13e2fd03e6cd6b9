"""Decides after a trainer or its Job has ended: the run succeeds, fails, or continues with another attempt. Pure."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.exit_codes import FINAL_EXIT_CODES, ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import Report
from trainingjob_operator.core import failures
from trainingjob_operator.core.deadlines import overrun
from trainingjob_operator.core.decision import Decision, DeletePod, FinishRun, Relist, Requeue, StartAttempt
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.reports import decisive_pod, job_report, pod_report
from trainingjob_operator.core.run_state import SHORT_DEBOUNCE
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import Specification

OUT_OF_RETRIES = {"BackoffLimitExceeded", "FailedIndexes"}
"""Reasons of a failed Job whose pods have failed as often as they may; the second one of an Indexed Job."""


def ended_early(snapshot: Snapshot, job: Job, now: datetime, specification: Specification) -> Decision | None:
    """Decide about trainers that have ended, and a Job that will end, while the Job waits for its pods.

    None if no trainer has ended, or if the Job controller handles it in time.
    """
    if job.suspended:
        return None
    for pod in snapshot.pods:
        if pod.termination is not None:
            decision = _trainer_ended(snapshot, pod, pod.termination.exit_code, now)
            if decision is not None:
                return decision
    lost = next((text for p in snapshot.pods if p.is_active and (text := failures.termination_overdue(p, now))), None)
    if lost is None or not (job.failing or job.succeeding):
        return None
    if not snapshot.fresh:
        return Relist()
    report = job_report(snapshot)
    if (success := _success(report)) is not None:
        return _succeeded(success, now, delete=True)
    if job.succeeding:
        return _without_report(snapshot, now, delete=True)
    other = decisive_pod(snapshot)
    if other is not None and not other.is_active and job.failing != Reason.DEADLINE_EXCEEDED:
        failure = failures.pod_failure(other, snapshot.parent.uid, snapshot.parent.current_attempt.run)
        return _attempt_failed(snapshot, failure, report, delete=True)
    reason = Reason.known(job.failing, Reason.BACKOFF_LIMIT_EXCEEDED)
    cause = overrun(specification) if reason is Reason.DEADLINE_EXCEEDED else f"The Job fails, {job.failing}"
    return failed(Failure(reason, f"{cause}. {lost}", now), report=report, delete=True)


def _trainer_ended(snapshot: Snapshot, pod: Pod, exit_code: int, now: datetime) -> Decision | None:
    """Decide after a trainer has ended while another container keeps its pod running, or made it fail.

    None if the pod has ended with the trainer: the Job controller then handles it.
    """
    report = pod_report(pod, snapshot.parent)
    success = _success(report)
    if not pod.is_active and (success is None or pod.phase == "Succeeded"):
        return None
    debounced = pod.ended + SHORT_DEBOUNCE
    if now < debounced <= now + SHORT_DEBOUNCE:
        return Requeue(debounced)
    if not snapshot.fresh:
        return Relist()
    if success is not None:
        return _succeeded(success, pod.ended, delete=True)
    others_work = any(other.is_active and other.termination is None for other in snapshot.pods)
    if exit_code == 0 and not others_work:
        return _without_report(snapshot, pod.ended, delete=True)
    if exit_code in FINAL_EXIT_CODES:
        failure = failures.pod_failure(pod, snapshot.parent.uid, snapshot.parent.current_attempt.run)
        return _attempt_failed(snapshot, failure, report, delete=True)
    # The Job controller counts the failure and creates another pod once this pod has failed.
    return DeletePod(pod) if pod.deletion is None else None


def job_ended(snapshot: Snapshot, job: Job, specification: Specification, now: datetime) -> Decision:
    """Decide after the Job has ended."""
    parent, last = snapshot.parent, decisive_pod(snapshot)
    time = job.end_time or now
    report = job_report(snapshot)
    if (success := _success(report)) is not None:
        return _succeeded(success, time)
    if job.ended == "Complete":
        return _without_report(snapshot, time)
    if job.end_reason == Reason.DEADLINE_EXCEEDED:
        return failed(Failure(Reason.DEADLINE_EXCEEDED, overrun(specification), time), report=report)
    if (last is None or last.is_active) and not snapshot.fresh:
        return Relist()
    if last is None or last.is_active:
        failure = Failure(Reason.BACKOFF_LIMIT_EXCEEDED, f"The Job failed: {job.end_message}", time)
        return failed(failure, report=report)
    failure = failures.pod_failure(last, parent.uid, parent.current_attempt.run)
    if job.end_reason in OUT_OF_RETRIES and failure.exit_code != ExitCode.ACCELERATOR_MISSING:
        message = f"{failure.message} (failure {job.failures}, more than spec.runPolicy.backoffLimit allows)"
        failure = replace(failure, message=message)
    return _attempt_failed(snapshot, failure, report)


def _success(report: Report | None) -> Report | None:
    return report if report is not None and report.outcome == "Succeeded" else None


def _succeeded(report: Report, time: datetime, *, delete: bool = False) -> FinishRun:
    message = report.message or "The model is registered"
    return FinishRun("Succeeded", report.reason, message, time, report, delete=delete)


def _without_report(snapshot: Snapshot, time: datetime, *, delete: bool = False) -> Decision:
    """The trainer exited with 0, but has no readable report: another attempt reads the registry, once only."""
    if not snapshot.fresh:
        return Relist()
    run, attempt = snapshot.parent.current_attempt
    problem = "The trainer exited with 0, but its report cannot be read"
    if (snapshot.parent.status.get("lastFailure") or {}).get("reason") == Reason.RETRYING:
        message = f"{problem}, twice; look for the run in the registry"
        return failed(Failure(Reason.TRAINER_ERROR, message, time), delete=delete)
    message = f"{problem}; one more attempt finds the run in the registry"
    return StartAttempt(run, attempt + 1, Reason.RETRYING, message, failure=Failure(Reason.RETRYING, message, time))


def _attempt_failed(snapshot: Snapshot, failure: Failure, report: Report | None, *, delete: bool = False) -> Decision:
    """The attempt has failed: the run fails too, unless it can continue without the accelerator."""
    if failure.exit_code == ExitCode.ACCELERATOR_MISSING:
        return without_accelerator(snapshot, failure, report, delete=delete)
    return failed(failure, report=report, delete=delete)


def without_accelerator(
    snapshot: Snapshot, failure: Failure, report: Report | None = None, *, delete: bool = False
) -> Decision:
    """The accelerator is not available: continue without it if the policy allows that."""
    run, attempt = snapshot.parent.current_attempt
    device = snapshot.parent.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message = f"{failure.message}; the run continues without it"
        return StartAttempt(run, attempt + 1, Reason.FELL_BACK_TO_CPU, message, fall_back=True, failure=failure)
    return failed(failure, report=report, delete=delete)


def failed(failure: Failure, *, report: Report | None = None, delete: bool = False) -> FinishRun:
    """Finish the run as failed; ``delete`` also marks its Job for deletion."""
    return FinishRun("Failed", failure.reason, failure.message, failure.time, report, failure, delete)
