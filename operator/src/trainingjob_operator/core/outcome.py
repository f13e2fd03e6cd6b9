"""Decides after a trainer or its Job has ended: the run succeeds, fails, or continues with another attempt. Pure."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.exit_codes import FINAL_EXIT_CODES, ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import Report, read_report
from trainingjob_operator.core import failures
from trainingjob_operator.core.deadlines import overrun
from trainingjob_operator.core.decision import Decision, DeletePod, FinishRun, Relist, Requeue, StartAttempt
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.run_state import SHORT_DEBOUNCE
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import Specification


def trainer_ended(snapshot: Snapshot, pod: Pod, exit_code: int, now: datetime) -> Decision | None:
    """Decide after the trainer has ended while another container keeps its pod running, or made it fail.

    None if the pod has ended with the trainer: the Job controller then finishes the Job.
    """
    trainingjob = snapshot.trainingjob
    run = trainingjob.current_attempt.run
    report = read_report(pod.termination_message, trainingjob.uid, run)
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
    if exit_code == 0:
        return _without_report(snapshot, pod.ended, delete=True)
    if exit_code in FINAL_EXIT_CODES:
        return _attempt_failed(snapshot, failures.pod_failure(pod, trainingjob.uid, run), report, delete=True)
    # The Job controller counts the failure and creates another pod once this pod has failed.
    return DeletePod(pod) if pod.deletion is None else None


def job_ended(snapshot: Snapshot, job: Job, specification: Specification, now: datetime) -> Decision:
    """Decide after the Job has ended."""
    trainingjob, last = snapshot.trainingjob, snapshot.pods[-1] if snapshot.pods else None
    run = trainingjob.current_attempt.run
    time = job.end_time or now
    report = read_report(last.termination_message, trainingjob.uid, run) if last else None
    if (success := _success(report)) is not None:
        return _succeeded(success, time)
    if job.ended == "Complete":
        return _without_report(snapshot, time)
    if job.end_reason == Reason.DEADLINE_EXCEEDED:
        return failed(Failure(Reason.DEADLINE_EXCEEDED, overrun(specification), time))
    if (last is None or last.is_active) and not snapshot.fresh:
        return Relist()
    if last is None or last.is_active:
        return failed(Failure(Reason.BACKOFF_LIMIT_EXCEEDED, f"The Job failed: {job.end_message}", time))
    failure = failures.pod_failure(last, trainingjob.uid, run)
    if job.end_reason == Reason.BACKOFF_LIMIT_EXCEEDED and failure.exit_code != ExitCode.ACCELERATOR_MISSING:
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
    run, attempt = snapshot.trainingjob.current_attempt
    problem = "The trainer exited with 0, but its report cannot be read"
    if (snapshot.trainingjob.status.get("lastFailure") or {}).get("reason") == Reason.RETRYING:
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
    run, attempt = snapshot.trainingjob.current_attempt
    device = snapshot.trainingjob.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message = f"{failure.message}; the run continues without it"
        return StartAttempt(run, attempt + 1, Reason.FELL_BACK_TO_CPU, message, fall_back=True, failure=failure)
    return failed(failure, report=report, delete=delete)


def failed(failure: Failure, *, report: Report | None = None, delete: bool = False) -> FinishRun:
    """Finish the run as failed; ``delete`` also marks its Job for deletion."""
    return FinishRun("Failed", failure.reason, failure.message, failure.time, report, failure, delete)
