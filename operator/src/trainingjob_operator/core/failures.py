"""Why a pod failed, or does not start or end: the cluster's many words put into the closed list of reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.exit_codes import reason_of
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import read_report
from trainingjob_api.text import timestamp
from trainingjob_operator.core.objects import Pod

DISRUPTIONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "PreemptionByKubeScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
}
WAITING = {
    "ErrImagePull": Reason.IMAGE_PULL_FAILED,
    "ImagePullBackOff": Reason.IMAGE_PULL_FAILED,
    "ErrImageNeverPull": Reason.IMAGE_PULL_FAILED,
    "InvalidImageName": Reason.IMAGE_PULL_FAILED,
    "ImageInspectError": Reason.IMAGE_PULL_FAILED,
    "RegistryUnavailable": Reason.IMAGE_PULL_FAILED,
    "CreateContainerConfigError": Reason.CONTAINER_CONFIG_ERROR,
    "CreateContainerError": Reason.CONTAINER_CONFIG_ERROR,
    "RunContainerError": Reason.CONTAINER_CONFIG_ERROR,
}
DELETION_MARGIN = timedelta(seconds=20)
"""How long a kubelet may take to say that a pod has ended, after the pod's grace period."""
LOST = {"NodeLost", "Terminated", "NodeShutdown", "Shutdown"}


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong, for the person who must act."""

    reason: Reason
    message: str
    time: datetime
    exit_code: int | None = None


def failure(pod: Pod, uid: str, run: int) -> Failure:
    """Why a pod failed: what the cluster did to it first, then what the trainer says, then its exit code."""
    end = pod.termination
    code = end.exit_code if end and end.exit_code >= 0 else None
    report = read_report(pod.termination_message, uid, run)
    if report is not None and report.outcome == "Failed":
        return Failure(report.reason, report.message or f"The trainer ended with exit code {code}", pod.ended, code)
    reason, message = _by_cluster(pod) or _by_exit(pod)
    return Failure(reason, message, pod.ended, code)


def waiting(pod: Pod) -> tuple[Reason, str] | None:
    """Why a bound pod's container does not start, where the kubelet names a fault."""
    reason = WAITING.get(pod.waiting or "")
    return None if reason is None else (reason, f"{pod.waiting}: {pod.waiting_message or 'no details'}")


def overdue(pod: Pod) -> datetime | None:
    """From when on a pod that is being deleted counts as one that does not end; None if nobody deletes it."""
    return None if pod.deletion is None else pod.deletion + DELETION_MARGIN


def disruption(pod: Pod) -> Reason:
    """The reason of a pod that the cluster ends."""
    return DISRUPTIONS.get(pod.disruption or "", Reason.EVICTED)


def not_ended(pod: Pod, now: datetime) -> str | None:
    """Why a pod that should be gone is still there, and what to do; None for one that is in time.

    Nobody may take the pod for ended by the clock: its node may be cut off and its trainer run on. So nothing starts
    in its place before the API server says that it has ended, which is for a person, or for the node, to bring about.
    """
    due = overdue(pod)
    if due is None or now < due or not (pod.live or pod.finalizers):
        return None
    where = f" on node {pod.node}" if pod.node else ""
    message = f"Pod {pod.name}{where} should be gone since {timestamp(due - DELETION_MARGIN)}"
    if pod.finalizers:
        message += f"; finalizers of other programs hold it: {', '.join(pod.finalizers)}"
    if pod.live and pod.node:
        message += (
            "; the node does not answer, or cannot stop it. Nothing starts in its place while it may run. If the node "
            f"does not come back, delete it (kubectl delete node {pod.node}), or once it is shut down, taint it "
            f"(kubectl taint node {pod.node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute)"
        )
    return message


def _by_cluster(pod: Pod) -> tuple[Reason, str] | None:
    words = pod.message or pod.disruption or pod.reason
    if pod.termination is not None and pod.termination.reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY, "The trainer used more memory than its limit; raise spec.resources.limits.memory"
    if pod.disruption is not None:
        return disruption(pod), f"The pod was ended by the cluster: {words}"
    if pod.reason in {"Evicted", "Preempting"}:
        return Reason.EVICTED, f"The pod was evicted: {words}"
    if pod.reason in LOST:
        return Reason.NODE_LOST, f"The node went away: {words}"
    if pod.reason and pod.termination is None:
        return Reason.NODE_REJECTED, f"The node refused the pod, {pod.reason}: {words}"
    return None


def _by_exit(pod: Pod) -> tuple[Reason, str]:
    if pod.termination is None:
        return Reason.TRAINER_ERROR, "The pod failed and its container left no trace"
    code = pod.termination.exit_code
    text = pod.termination.message.strip()
    # A traceback names its cause in the last line.
    last = text.rsplit("\n", 1)[-1] if text and not text.startswith("{") else ""
    return reason_of(code), f"The trainer ended with exit code {code}{': ' if last else ''}{last}"
