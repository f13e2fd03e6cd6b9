"""Where an unfinished run is, in the API's words: phase, reason and message, from Job and pod. Pure."""
# ruff: noqa: PLR0911 (the first rule that applies decides; a table of them reads worse)

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.reasons import Reason
from trainingjob_operator.core import explanation
from trainingjob_operator.core import failures as diagnosis
from trainingjob_operator.core.deadlines import overrun, unbound_since
from trainingjob_operator.core.explanation import PATIENCE
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.snapshot import View
from trainingjob_operator.core.specification import read_specification

SETTLING = timedelta(seconds=5)
"""How long a pod may take to start, or a Job to end after its pod, before that is worth a word."""
TELLING = 3
"""How often in a row the API server may fail to take a Job before that is worth a word."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a run is.

    Attributes:
        phase: One of the API's phases.
        reason: Why.
        message: Why, as a sentence.
        node: The node that the pod is bound to.
        passing: Until when this will probably have passed, so that writing it would tell nobody anything; None for
            what is worth a write at once.
    """

    phase: str
    reason: Reason
    message: str
    node: str | None = None
    passing: datetime | None = None


def situation(view: View, now: datetime) -> Situation:
    """Tell where an unfinished run is."""
    trainingjob, job = view.trainingjob, view.job
    if job is None:
        return _without_job(view, now)
    if trainingjob.status.get("jobDeletionReason") or job.deleting:
        return _going(view, now)
    if job.suspended:
        return _held(view, job)
    if view.pod is None:
        return _without_pod(view, job)
    return _live(view, view.pod, now) if view.pod.live else _between(view, view.pod)


def passing(view: View, now: datetime) -> datetime | None:
    """Until when to leave the status as it is, where it would only tell what passes by itself."""
    if view.trainingjob.ended:
        return None
    until = situation(view, now).passing
    # A time that lies too far ahead is from another machine's clock.
    return until if until is not None and now < until <= now + PATIENCE else None


def held(*, had_job: bool) -> Situation:
    """Where a run is that the spec suspends and that has no Job."""
    how = "goes on in a new attempt" if had_job else "starts"
    return Situation("Suspended", Reason.SUSPENDED, f"spec.runPolicy.suspend is set; taken back, the run {how}")


def main_reason(view: View) -> tuple[Reason, str]:
    """Reason and message that the status gives at present."""
    for condition in view.trainingjob.status.get("conditions") or ():
        if condition["type"] == "Succeeded":
            return Reason.known(condition["reason"], Reason.ACCEPTED), condition["message"]
    return Reason.ACCEPTED, ""


def _without_job(view: View, now: datetime) -> Situation:
    trainingjob = view.trainingjob
    blocked = _blocked(view, now)
    if blocked is not None:
        return blocked
    if trainingjob.suspended:
        return held(had_job="jobUID" in trainingjob.status)
    refusal = view.refusal
    if refusal is not None and refusal.claim == trainingjob.claim and refusal.tries >= TELLING:
        return Situation("Pending", Reason.POD_NOT_CREATED, f"The Job cannot be created: {refusal.message}")
    reason, message = main_reason(view)
    if reason in {Reason.SUSPENDED, Reason.NODE_LOST}:
        reason, message = Reason.ACCEPTED, f"Run {trainingjob.claim[0]} is accepted"
    return Situation("Pending", reason, message)


def _blocked(view: View, now: datetime) -> Situation | None:
    """A pod of an earlier Job that the next Job waits for, where that takes longer than it should."""
    jobs = {job.uid for job in view.jobs}
    for pod in view.leftover_pods:
        message = diagnosis.not_ended(pod, now) if pod.live or pod.owner in jobs else None
        if message is not None:
            return Situation("Pending", Reason.NODE_LOST if pod.live else Reason.POD_NOT_CREATED, message)
    if view.orphans:
        pod = view.orphans[0]
        message = (
            f"Pod {pod.name} has outlived its Job, and its trainer may still run; the next Job is created once it has "
            f"ended. To end it: kubectl delete pod {pod.name} -n {pod.namespace}"
        )
        return Situation("Pending", Reason.POD_NOT_CREATED, message)
    return None


def _going(view: View, now: datetime) -> Situation:
    """The Job is to go, or somebody deletes it: what the status says stands, unless a pod does not end."""
    phase, (reason, message) = str(view.trainingjob.status.get("phase", "Pending")), main_reason(view)
    node = (view.trainingjob.status.get("device") or {}).get("node")
    for pod in view.tries:
        held = diagnosis.not_ended(pod, now)
        if held is not None:
            lost = ("Pending", Reason.NODE_LOST) if pod.live else (phase, reason)
            return Situation(*lost, held, node)
    return Situation(phase, reason, message, node)


def _held(view: View, job: Job) -> Situation:
    if not job.queue:
        return Situation("Queued", Reason.QUEUED, "The Job is suspended, not by the operator; no clock runs")
    message = f"Queue {job.queue} holds the Job; no clock runs"
    known = explanation.about(view)
    if known is None:
        return Situation("Queued", Reason.QUEUED, message)
    if known.text is not None:
        message += f": {known.text}"
    else:
        message += (
            f". Kueue says why: kubectl describe workloads -n {job.namespace} -l {explanation.JOB_UID_LABEL}={job.uid};"
            f" and is there a LocalQueue {job.queue}? kubectl get localqueues -n {job.namespace}"
        )
    device = view.trainingjob.status.get("device") or {}
    if device.get("requested") == "Preferred" and "resourceName" in device:
        message += f". Policy Preferred gives {device['resourceName']} up only after the queue has released the Job"
    return Situation("Queued", Reason.QUEUED, message)


def _without_pod(view: View, job: Job) -> Situation:
    if job.started is None:
        message = f"The Job controller has not started Job {job.name} yet; no clock runs"
        phase, reason = ("Queued", Reason.QUEUED) if job.queue else ("Pending", Reason.POD_NOT_CREATED)
        return Situation(phase, reason, message, passing=job.created + PATIENCE)
    since = unbound_since(view) or job.created
    return Situation("Pending", Reason.POD_NOT_CREATED, _not_created(view, job), passing=since + PATIENCE)


def _not_created(view: View, job: Job) -> str:
    known = explanation.about(view)
    if known is not None and known.text is not None:
        return f"Job {job.name} gets no pod: {known.text}"
    hint = f"kubectl describe job {job.name} -n {job.namespace}"
    return f"Job {job.name} has no pod yet; its Events say why (a quota, a limit range, an admission rule): {hint}"


def _live(view: View, pod: Pod, now: datetime) -> Situation:
    lost = diagnosis.not_ended(pod, now)
    if lost is not None:
        return Situation("Pending", Reason.NODE_LOST, lost, pod.node)
    if pod.node is None:
        if pod.unschedulable is not None:
            return Situation("Queued", Reason.UNSCHEDULABLE, pod.unschedulable)
        return Situation("Pending", Reason.STARTING, "The pod waits for the scheduler", passing=pod.created + PATIENCE)
    if pod.termination is not None:
        return _outlived(view, pod)
    if pod.deletion is not None and (ending := _ending(view, pod)):
        return Situation("Running" if pod.phase == "Running" else "Pending", *ending, pod.node)
    if pod.phase == "Running":
        return Situation("Running", Reason.TRAINING, _running(pod), pod.node)
    if pod.phase == "Unknown":
        return Situation("Running", Reason.NODE_LOST, f"Node {pod.node} does not answer", pod.node)
    fault = diagnosis.waiting(pod)
    if fault is not None:
        return Situation("Pending", *fault, node=pod.node)
    message = f"The pod starts on node {pod.node}"
    return Situation("Pending", Reason.STARTING, message, pod.node, passing=pod.created + SETTLING)


def _ending(view: View, pod: Pod) -> tuple[Reason, str] | None:
    """Why a pod that may still run is being ended, where that is not the operator's doing."""
    if view.job is not None and view.job.failing == Reason.DEADLINE_EXCEEDED:
        message = overrun(read_specification(view.trainingjob.spec))
        return Reason.DEADLINE_EXCEEDED, f"{message}; the trainer is being stopped"
    if pod.disruption is None:
        return None
    message = f"The cluster ends the pod on node {pod.node}, {pod.disruption}; a new pod follows once it has ended"
    return diagnosis.disruption(pod), message


def _outlived(view: View, pod: Pod) -> Situation:
    """The trainer has ended and its pod has not, because other containers run on."""
    others = f"its pod is kept by {', '.join(pod.bystanders) or 'another container'}"
    passing = pod.ended + SETTLING
    if pod.termination is not None and pod.termination.exit_code == 0:
        return Situation("Running", Reason.TRAINING, f"The trainer has ended; {others}", pod.node, passing)
    failure = diagnosis.failure(pod, view.trainingjob.uid, view.trainingjob.claim[0])
    message = f"The trainer has failed, and {others}; a new pod follows: {failure.reason}: {failure.message}"
    return Situation("Pending", Reason.RETRYING, message, pod.node, passing)


def _between(view: View, pod: Pod) -> Situation:
    """The pod has ended and the Job has not yet: it will end, or try again."""
    if pod.phase == "Succeeded":
        return Situation("Running", Reason.TRAINING, _running(pod), pod.node, passing=pod.ended + SETTLING)
    known = explanation.about(view)
    if view.job is not None and known is not None and known.time > pod.ended:
        return Situation("Pending", Reason.POD_NOT_CREATED, _not_created(view, view.job))
    failure = diagnosis.failure(pod, view.trainingjob.uid, view.trainingjob.claim[0])
    message = f"A new pod follows: {failure.reason}: {failure.message}"
    return Situation("Pending", Reason.RETRYING, message, passing=pod.ended + SETTLING)


def _running(pod: Pod) -> str:
    return f"The trainer runs on node {pod.node}"
