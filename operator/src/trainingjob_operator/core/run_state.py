"""The state of an unfinished run: phase, reason and message, derived from Job and pod. Pure."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.reasons import Reason
from trainingjob_operator.core import explanation, failures
from trainingjob_operator.core.deadlines import overrun, unbound_since
from trainingjob_operator.core.explanation import LONG_DEBOUNCE
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import NO_ATTEMPT, Parent, TrainingFleet, condition_of
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import read_specification

SHORT_DEBOUNCE = timedelta(seconds=5)
"""How long a pod may take to start, or a Job to end after its pod, before the status reports it."""
CREATE_ERROR_THRESHOLD = 3
"""How many requests in a row to create a Job may fail before the status reports it."""


@dataclass(frozen=True, slots=True)
class RunState:
    """The state of a run.

    Attributes:
        phase: One of the API's phases.
        reason: Why it is in this phase.
        message: The same as a sentence.
        node: The node that the pod is bound to.
        debounce_until: Do not write a state that will probably have changed by then; None to write it at once.
    """

    phase: str
    reason: Reason
    message: str
    node: str | None = None
    debounce_until: datetime | None = None


def run_state(snapshot: Snapshot, now: datetime) -> RunState:
    """Give the state of an unfinished run."""
    parent, job = snapshot.parent, snapshot.job
    if job is None:
        return _without_job(snapshot, now)
    if parent.status.get("jobDeletionReason") or job.deleting:
        return _deleting(snapshot, now)
    if job.suspended:
        return _suspended_job(snapshot, job)
    if snapshot.pod is None:
        return _without_pod(snapshot, job)
    return _active_pod(snapshot, snapshot.pod, now) if snapshot.pod.is_active else _ended_pod(snapshot, snapshot.pod)


def debounce_until(snapshot: Snapshot, now: datetime) -> datetime | None:
    """Until when not to write a short-lived state to the status; None to write it at once."""
    if snapshot.parent.ended or snapshot.parent.current_attempt == NO_ATTEMPT:
        return None
    until = run_state(snapshot, now).debounce_until
    # A time further in the future comes from a clock that differs from this one.
    return until if until is not None and now < until <= now + LONG_DEBOUNCE else None


def suspended_state(*, had_job: bool) -> RunState:
    """The state of a suspended run without a Job."""
    effect = "continue the run in a new attempt" if had_job else "start the run"
    return RunState("Suspended", Reason.SUSPENDED, f"spec.runPolicy.suspend is set; unset it to {effect}")


def state_without_run(parent: Parent) -> RunState:
    """The state of a TrainingFleet that waits for the first run of its schedule."""
    error = parent.schedule.error if parent.schedule else None
    if error is not None:
        return RunState("Failed", Reason.INVALID_CONFIGURATION, error)
    if parent.suspended:
        return RunState(
            "Suspended", Reason.SUSPENDED, "spec.runPolicy.suspend is set; unset it to continue the schedule"
        )
    return RunState(
        "Scheduled", Reason.SCHEDULED, "No run was due yet; status.nextScheduleTime says when the next one is"
    )


def current_reason(snapshot: Snapshot) -> tuple[Reason, str]:
    """Reason and message in the current status."""
    condition = condition_of(snapshot.parent.status, "Succeeded")
    return Reason.known(condition.get("reason"), Reason.ACCEPTED), condition.get("message", "")


def _without_job(snapshot: Snapshot, now: datetime) -> RunState:
    parent = snapshot.parent
    blocked = _blocked(snapshot, now)
    if blocked is not None:
        return blocked
    if parent.suspended:
        return suspended_state(had_job="jobUID" in parent.status)
    error = snapshot.create_error
    if error is not None and error.attempt == parent.current_attempt and error.count >= CREATE_ERROR_THRESHOLD:
        return RunState("Pending", Reason.POD_NOT_CREATED, f"The Job cannot be created: {error.message}")
    reason, message = current_reason(snapshot)
    if reason in {Reason.SUSPENDED, Reason.NODE_LOST}:
        reason, message = Reason.ACCEPTED, f"Run {parent.current_attempt.run} is accepted"
    return RunState("Pending", reason, message)


def _blocked(snapshot: Snapshot, now: datetime) -> RunState | None:
    """The state if a pod of an earlier Job prevents the next Job for longer than expected."""
    jobs = {job.uid for job in snapshot.jobs}
    for pod in snapshot.leftover_pods:
        message = failures.termination_overdue(pod, now) if pod.is_active or pod.owner in jobs else None
        if message is not None:
            return RunState("Pending", Reason.NODE_LOST if pod.is_active else Reason.POD_NOT_CREATED, message)
    if snapshot.orphans:
        pod = snapshot.orphans[0]
        message = (
            f"Pod {pod.name} has outlived its Job, and its trainer may still run; the next Job is created once the pod "
            f"has ended. To delete it: kubectl delete pod {pod.name} -n {pod.namespace}"
        )
        return RunState("Pending", Reason.POD_NOT_CREATED, message)
    return None


def _deleting(snapshot: Snapshot, now: datetime) -> RunState:
    """The Job is being deleted: keep the current state, unless a pod does not end in time."""
    phase, (reason, message) = str(snapshot.parent.status.get("phase", "Pending")), current_reason(snapshot)
    node = (snapshot.parent.status.get("device") or {}).get("node")
    for pod in snapshot.pods:
        overdue = failures.termination_overdue(pod, now)
        if overdue is not None:
            if pod.is_active:
                phase, reason = "Pending", Reason.NODE_LOST
            return RunState(phase, reason, overdue, node)
    return RunState(phase, reason, message, node)


def _suspended_job(snapshot: Snapshot, job: Job) -> RunState:
    if not job.queue:
        return RunState("Queued", Reason.QUEUED, "The Job is suspended, not by the operator; no deadline applies")
    message = f"Queue {job.queue} holds the Job; no deadline applies"
    known = explanation.current_explanation(snapshot)
    if known is None:
        return RunState("Queued", Reason.QUEUED, message)
    if known.text is not None:
        message += f": {known.text}"
    else:
        message += (
            f". For the reason: kubectl describe workloads -n {job.namespace} -l {explanation.JOB_UID_LABEL}={job.uid};"
            f" check that LocalQueue {job.queue} exists: kubectl get localqueues -n {job.namespace}"
        )
    device = snapshot.parent.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message += (
            f". The run falls back from {device['resourceName']} to the CPU only after the queue has admitted the Job"
        )
    return RunState("Queued", Reason.QUEUED, message)


def _without_pod(snapshot: Snapshot, job: Job) -> RunState:
    if job.started is None:
        message = f"The Job controller has not started Job {job.name} yet; no deadline applies"
        phase, reason = ("Queued", Reason.QUEUED) if job.queue else ("Pending", Reason.POD_NOT_CREATED)
        return RunState(phase, reason, message, debounce_until=job.created + LONG_DEBOUNCE)
    since = unbound_since(snapshot) or job.created
    return RunState(
        "Pending", Reason.POD_NOT_CREATED, _not_created(snapshot, job), debounce_until=since + LONG_DEBOUNCE
    )


def _not_created(snapshot: Snapshot, job: Job) -> str:
    known = explanation.current_explanation(snapshot)
    if known is not None and known.text is not None:
        return f"Job {job.name} gets no pod: {known.text}"
    hint = f"kubectl describe job {job.name} -n {job.namespace}"
    return f"Job {job.name} has no pod yet; see its Events (a quota, a limit range, an admission rule): {hint}"


def _active_pod(snapshot: Snapshot, pod: Pod, now: datetime) -> RunState:
    lost = failures.termination_overdue(pod, now)
    if lost is not None:
        return RunState("Pending", Reason.NODE_LOST, lost, pod.node)
    if pod.node is None:
        if pod.unschedulable is not None:
            return RunState("Queued", Reason.UNSCHEDULABLE, pod.unschedulable)
        return RunState(
            "Pending", Reason.STARTING, "The pod waits for the scheduler", debounce_until=pod.created + LONG_DEBOUNCE
        )
    if pod.termination is not None:
        return _ended_trainer(snapshot, pod)
    if pod.deletion is not None and (ending := _pod_deletion(snapshot, pod)):
        return RunState("Running" if pod.phase == "Running" else "Pending", *ending, pod.node)
    if pod.phase == "Running":
        return RunState("Running", Reason.TRAINING, _running(snapshot, pod), pod.node)
    if pod.phase == "Unknown":
        return RunState("Running", Reason.NODE_LOST, f"Node {pod.node} does not answer", pod.node)
    fault = failures.start_failure(pod)
    if fault is not None:
        return RunState("Pending", *fault, node=pod.node)
    message = f"The pod starts on node {pod.node}"
    return RunState("Pending", Reason.STARTING, message, pod.node, debounce_until=pod.created + SHORT_DEBOUNCE)


def _pod_deletion(snapshot: Snapshot, pod: Pod) -> tuple[Reason, str] | None:
    """Why an active pod is being deleted, if the operator did not delete it."""
    if snapshot.job is not None and snapshot.job.failing == Reason.DEADLINE_EXCEEDED:
        message = overrun(read_specification(snapshot.parent))
        return Reason.DEADLINE_EXCEEDED, f"{message}; the trainer is being stopped"
    if pod.disruption is None:
        return None
    message = f"The cluster deletes the pod on node {pod.node}, {pod.disruption}; a new pod follows once it has ended"
    return failures.disruption_reason(pod), message


def _ended_trainer(snapshot: Snapshot, pod: Pod) -> RunState:
    """The trainer has ended, but other containers keep the pod running."""
    others = f"its pod is kept running by {', '.join(pod.sidecars) or 'another container'}"
    until = pod.ended + SHORT_DEBOUNCE
    if pod.termination is not None and pod.termination.exit_code == 0:
        return RunState("Running", Reason.TRAINING, f"The trainer has ended; {others}", pod.node, until)
    failure = failures.pod_failure(pod, snapshot.parent.uid, snapshot.parent.current_attempt.run)
    message = f"The trainer has failed, and {others}; a new pod follows: {failure.reason}: {failure.message}"
    return RunState("Pending", Reason.RETRYING, message, pod.node, until)


def _ended_pod(snapshot: Snapshot, pod: Pod) -> RunState:
    """The pod has ended and the Job has not: the Job ends soon, or creates another pod."""
    if pod.phase == "Succeeded":
        return RunState(
            "Running", Reason.TRAINING, _running(snapshot, pod), pod.node, debounce_until=pod.ended + SHORT_DEBOUNCE
        )
    known = explanation.current_explanation(snapshot)
    if snapshot.job is not None and known is not None and known.time > pod.ended:
        return RunState("Pending", Reason.POD_NOT_CREATED, _not_created(snapshot, snapshot.job))
    failure = failures.pod_failure(pod, snapshot.parent.uid, snapshot.parent.current_attempt.run)
    message = f"A new pod follows: {failure.reason}: {failure.message}"
    return RunState("Pending", Reason.RETRYING, message, debounce_until=pod.ended + SHORT_DEBOUNCE)


def _running(snapshot: Snapshot, pod: Pod) -> str:
    if isinstance(snapshot.parent, TrainingFleet):
        # Naming workers or nodes would be a write of the status for each worker that starts or ends.
        return "The workers train the machines"
    return f"The trainer runs on node {pod.node}"
