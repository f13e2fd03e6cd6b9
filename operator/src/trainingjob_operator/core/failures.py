"""Why a pod failed, does not start or does not end, as one of the reasons of the API. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.exit_codes import reason_of
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import read_report
from trainingjob_api.text import timestamp
from trainingjob_operator.core.objects import Pod

DISRUPTION_REASONS = {
    "PreemptionByScheduler": Reason.PREEMPTED,
    "PreemptionByKubeScheduler": Reason.PREEMPTED,
    "DeletionByTaintManager": Reason.NODE_LOST,
    "DeletionByPodGC": Reason.NODE_LOST,
}
WAITING_REASONS = {
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
"""How long a kubelet may take after the grace period of a pod to report that the pod has ended."""
NODE_LOST_REASONS = {"NodeLost", "Terminated", "NodeShutdown", "Shutdown"}


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure of an attempt, as the status reports it."""

    reason: Reason
    message: str
    time: datetime
    exit_code: int | None = None


def pod_failure(pod: Pod, uid: str, run: int) -> Failure:
    """Why a pod failed: from the report of the trainer, else from the cluster, else from the exit code."""
    end = pod.termination
    code = end.exit_code if end and end.exit_code >= 0 else None
    report = read_report(pod.termination_message, uid, run)
    if report is not None and report.outcome == "Failed":
        return Failure(report.reason, report.message or f"The trainer ended with exit code {code}", pod.ended, code)
    reason, message = _cluster_failure(pod) or _exit_failure(pod)
    return Failure(reason, message, pod.ended, code)


def start_failure(pod: Pod) -> tuple[Reason, str] | None:
    """Why the container of a bound pod does not start; None if the kubelet reports no error."""
    reason = WAITING_REASONS.get(pod.waiting or "")
    return None if reason is None else (reason, f"{pod.waiting}: {pod.waiting_message or 'no details'}")


def end_deadline(pod: Pod) -> datetime | None:
    """When a pod that is being deleted should have ended; None if it is not being deleted."""
    return None if pod.deletion is None else pod.deletion + DELETION_MARGIN


def disruption_reason(pod: Pod) -> Reason:
    """The reason for a pod that the cluster deletes."""
    return DISRUPTION_REASONS.get(pod.disruption or "", Reason.EVICTED)


def termination_overdue(pod: Pod, now: datetime) -> str | None:
    """Why a pod has not ended in time, and what to do; None if it has ended or still has time.

    A timeout does not prove that the pod has ended: its node may be disconnected while the trainer runs. No other pod
    is created before the API server reports the end, which needs the node to come back or a person to act.
    """
    due = end_deadline(pod)
    if due is None or now < due or not (pod.is_active or pod.finalizers):
        return None
    where = f" on node {pod.node}" if pod.node else ""
    message = f"Pod {pod.name}{where} should have ended at {timestamp(due - DELETION_MARGIN)}"
    if pod.finalizers:
        message += f"; finalizers of other programs keep it: {', '.join(pod.finalizers)}"
    if pod.is_active and pod.node:
        message += (
            "; the node does not answer, or cannot stop it. No other pod is created while it may run. If the node "
            f"does not come back, delete it (kubectl delete node {pod.node}), or once it is shut down, taint it "
            f"(kubectl taint node {pod.node} node.kubernetes.io/out-of-service=nodeshutdown:NoExecute)"
        )
    return message


def _cluster_failure(pod: Pod) -> tuple[Reason, str] | None:
    details = pod.message or pod.disruption or pod.reason
    if pod.termination is not None and pod.termination.reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY, "The trainer used more memory than its limit; raise spec.resources.limits.memory"
    if pod.disruption is not None:
        return disruption_reason(pod), f"The cluster ended the pod: {details}"
    if pod.reason in {"Evicted", "Preempting"}:
        return Reason.EVICTED, f"The pod was evicted: {details}"
    if pod.reason in NODE_LOST_REASONS:
        return Reason.NODE_LOST, f"The node was lost: {details}"
    if pod.reason and pod.termination is None:
        return Reason.NODE_REJECTED, f"The node refused the pod, {pod.reason}: {details}"
    return None


def _exit_failure(pod: Pod) -> tuple[Reason, str]:
    if pod.termination is None:
        return Reason.TRAINER_ERROR, "The pod failed and its container has no termination state"
    code = pod.termination.exit_code
    text = pod.termination.message.strip()
    # The last line of a traceback names the exception.
    last = text.rsplit("\n", 1)[-1] if text and not text.startswith("{") else ""
    return reason_of(code), f"The trainer ended with exit code {code}{': ' if last else ''}{last}"
