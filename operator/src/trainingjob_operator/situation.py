"""Where an unfinished run is, in the API's words: phase, reason and message, from Job and pod. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_operator import diagnosis
from trainingjob_operator.deadlines import unbound_since
from trainingjob_operator.model import Job, Pod
from trainingjob_operator.reasons import Reason
from trainingjob_operator.view import View

PATIENCE = timedelta(seconds=30)
"""How long the Job controller and the scheduler may take over a pod before that is worth a word."""
SETTLING = timedelta(seconds=5)
"""How long a pod may take to start, or a Job to end after its pod, before that is."""


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


def situation(view: View) -> Situation:
    """Tell where an unfinished run is."""
    trainingjob, job = view.trainingjob, view.job
    announced = trainingjob.status.get("jobDeletionReason")
    if job is None:
        return _without_job(view)
    if announced:
        node = (trainingjob.status.get("device") or {}).get("node")
        return Situation(trainingjob.status.get("phase", "Pending"), *main_reason(view), node=node)
    if job.suspended:
        held = "A queue holds the Job" if job.queued else "The Job is suspended, not by the operator"
        return Situation("Queued", Reason.QUEUED, f"{held}; no clock runs")
    if view.pod is None:
        return _without_pod(view, job)
    return _live(view.pod) if view.pod.live else _between(view, view.pod)


def passing(view: View, now: datetime) -> datetime | None:
    """Until when to leave the status as it is, where it would only tell what passes by itself."""
    if view.trainingjob.ended:
        return None
    until = situation(view).passing
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


def _without_job(view: View) -> Situation:
    trainingjob = view.trainingjob
    if trainingjob.suspended:
        return held(had_job="jobUID" in trainingjob.status)
    refusal = view.refusal
    if refusal is not None and refusal.claim == trainingjob.claim:
        return Situation("Pending", Reason.POD_NOT_CREATED, f"The Job cannot be created: {refusal.message}")
    reason, message = main_reason(view)
    if reason is Reason.SUSPENDED:
        reason, message = Reason.ACCEPTED, f"Run {trainingjob.claim[0]} is accepted"
    return Situation("Pending", reason, message)


def _without_pod(view: View, job: Job) -> Situation:
    message = f"Job {job.name} has no pod yet; if it gets none, its events say why (a quota, an admission rule)"
    return Situation(
        "Pending", Reason.POD_NOT_CREATED, message, passing=(unbound_since(view) or job.created) + PATIENCE
    )


def _live(pod: Pod) -> Situation:
    if pod.node is None:
        if pod.unschedulable is not None:
            return Situation("Queued", Reason.UNSCHEDULABLE, pod.unschedulable)
        return Situation("Pending", Reason.STARTING, "The pod waits for the scheduler", passing=pod.created + PATIENCE)
    if pod.phase == "Running":
        return Situation("Running", Reason.TRAINING, _running(pod), pod.node)
    if pod.phase == "Unknown":
        return Situation("Running", Reason.NODE_LOST, f"Node {pod.node} does not answer", pod.node)
    fault = diagnosis.waiting(pod)
    if fault is not None:
        return Situation("Pending", *fault, node=pod.node)
    message = f"The pod starts on node {pod.node}"
    return Situation("Pending", Reason.STARTING, message, pod.node, passing=pod.created + SETTLING)


def _between(view: View, pod: Pod) -> Situation:
    """The pod has ended and the Job has not yet: it will end, or try again."""
    if pod.phase == "Succeeded":
        return Situation("Running", Reason.TRAINING, _running(pod), pod.node, passing=pod.ended + SETTLING)
    failure = diagnosis.failure(pod, view.trainingjob.uid, view.trainingjob.claim[0])
    message = f"A new pod follows: {failure.reason}: {failure.message}"
    return Situation("Pending", Reason.RETRYING, message, passing=pod.ended + SETTLING)


def _running(pod: Pod) -> str:
    return f"The trainer runs on node {pod.node}"
