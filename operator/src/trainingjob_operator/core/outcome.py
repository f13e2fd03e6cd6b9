"""What the end of a trainer or of its Job makes of the run: success, failure, or one more attempt. Pure."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from trainingjob_api.exit_codes import FINAL_EXIT_CODES, ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import Report, read_report
from trainingjob_operator.core import failures as diagnosis
from trainingjob_operator.core.deadlines import overrun
from trainingjob_operator.core.decision import Claim, Confirm, Decision, End, Finish, Observe
from trainingjob_operator.core.failures import Failure
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.run_state import SETTLING
from trainingjob_operator.core.snapshot import View
from trainingjob_operator.core.specification import Specification


def trainer_ended(view: View, pod: Pod, exit_code: int, now: datetime) -> Decision | None:
    """The trainer has ended and its Job goes on, because other containers keep the pod, or have failed it.

    None where the Job controller sees to it: the pod has ended as the trainer has.
    """
    trainingjob = view.trainingjob
    run = trainingjob.claim[0]
    report = read_report(pod.termination_message, trainingjob.uid, run)
    success = _success(report)
    if not pod.live and (success is None or pod.phase == "Succeeded"):
        return None
    settled = pod.ended + SETTLING
    if now < settled <= now + SETTLING:
        return Observe(settled)
    if not view.live:
        return Confirm()
    if success is not None:
        return _succeeded(success, pod.ended, delete=True)
    if exit_code == 0:
        return _without_report(view, pod.ended, delete=True)
    if exit_code in FINAL_EXIT_CODES:
        return _by_failure(view, diagnosis.failure(pod, trainingjob.uid, run), report, delete=True)
    # The Job tries again, and counts, once the pod has failed.
    return End(pod) if pod.deletion is None else None


def job_ended(view: View, job: Job, specification: Specification, now: datetime) -> Decision:
    """The Job has ended: what that makes of the run."""
    trainingjob, last = view.trainingjob, view.tries[-1] if view.tries else None
    run = trainingjob.claim[0]
    time = job.end_time or now
    report = read_report(last.termination_message, trainingjob.uid, run) if last else None
    if (success := _success(report)) is not None:
        return _succeeded(success, time)
    if job.ended == "Complete":
        return _without_report(view, time)
    if job.end_reason == Reason.DEADLINE_EXCEEDED:
        return failed(Failure(Reason.DEADLINE_EXCEEDED, overrun(specification), time))
    if (last is None or last.live) and not view.live:
        return Confirm()
    if last is None or last.live:
        return failed(Failure(Reason.BACKOFF_LIMIT_EXCEEDED, f"The Job failed: {job.end_message}", time))
    failure = diagnosis.failure(last, trainingjob.uid, run)
    if job.end_reason == Reason.BACKOFF_LIMIT_EXCEEDED and failure.exit_code != ExitCode.ACCELERATOR_MISSING:
        message = f"{failure.message} (failure {job.failures}, more than spec.runPolicy.backoffLimit allows)"
        failure = replace(failure, message=message)
    return _by_failure(view, failure, report)


def _success(report: Report | None) -> Report | None:
    return report if report is not None and report.outcome == "Succeeded" else None


def _succeeded(report: Report, time: datetime, *, delete: bool = False) -> Finish:
    message = report.message or "The model is registered"
    return Finish("Succeeded", report.reason, message, time, report, delete=delete)


def _without_report(view: View, time: datetime, *, delete: bool = False) -> Decision:
    """The trainer ended well, and does not say what it left: one more attempt finds out, and no more than one."""
    if not view.live:
        return Confirm()
    run, attempt = view.trainingjob.claim
    lost = "The trainer ended well, but its report cannot be read"
    if (view.trainingjob.status.get("lastFailure") or {}).get("reason") == Reason.RETRYING:
        message = f"{lost}, twice; look for the run in the registry"
        return failed(Failure(Reason.TRAINER_ERROR, message, time), delete=delete)
    message = f"{lost}; one more attempt finds the run in the registry"
    return Claim(run, attempt + 1, Reason.RETRYING, message, failure=Failure(Reason.RETRYING, message, time))


def _by_failure(view: View, failure: Failure, report: Report | None, *, delete: bool = False) -> Decision:
    """The attempt has failed for good: the run has too, unless it may go on without the accelerator."""
    if failure.exit_code == ExitCode.ACCELERATOR_MISSING:
        return without_accelerator(view, failure, report, delete=delete)
    return failed(failure, report=report, delete=delete)


def without_accelerator(
    view: View, failure: Failure, report: Report | None = None, *, delete: bool = False
) -> Decision:
    """The accelerator cannot be had: go on without where the policy allows it."""
    run, attempt = view.trainingjob.claim
    device = view.trainingjob.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message = f"{failure.message}; the run goes on without"
        return Claim(run, attempt + 1, Reason.FELL_BACK_TO_CPU, message, fall_back=True, failure=failure)
    return failed(failure, report=report, delete=delete)


def failed(failure: Failure, *, report: Report | None = None, delete: bool = False) -> Finish:
    """The run fails; ``delete`` says that its Job is to go."""
    return Finish("Failed", failure.reason, failure.message, failure.time, report, failure, delete)
