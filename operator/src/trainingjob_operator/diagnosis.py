"""Why a pod failed, or why it does not start: the cluster's many words put into the closed list of reasons."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from trainingjob_operator.model import Pod
from trainingjob_operator.reasons import Reason
from trainingjob_operator.report import read

EXIT_CODES = {
    10: Reason.INVALID_CONFIGURATION,
    11: Reason.DATA_UNAVAILABLE,
    12: Reason.ARTIFACT_STORE_FAILED,
    13: Reason.REGISTRY_FAILED,
    14: Reason.EVICTED,
    15: Reason.ACCELERATOR_MISSING,
    16: Reason.GATE_FAILED,
    17: Reason.DIVERGED,
}
EXIT_ACCELERATOR_MISSING = 15
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
    report = read(pod, uid, run)
    if report is not None and report.outcome == "Failed":
        return Failure(report.reason, report.message or f"The trainer ended with exit code {code}", pod.ended, code)
    reason, message = _by_cluster(pod) or _by_exit(pod)
    return Failure(reason, message, pod.ended, code)


def waiting(pod: Pod) -> tuple[Reason, str] | None:
    """Why a bound pod's container does not start, where the kubelet names a fault."""
    reason = WAITING.get(pod.waiting or "")
    return None if reason is None else (reason, f"{pod.waiting}: {pod.waiting_message or 'no details'}")


def _by_cluster(pod: Pod) -> tuple[Reason, str] | None:
    words = pod.message or pod.disruption or pod.reason
    if pod.termination is not None and pod.termination.reason == "OOMKilled":
        return Reason.OUT_OF_MEMORY, "The trainer used more memory than its limit; raise spec.resources.limits.memory"
    if pod.disruption is not None:
        return DISRUPTIONS.get(pod.disruption, Reason.EVICTED), f"The pod was ended by the cluster: {words}"
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
    reason = EXIT_CODES.get(code, Reason.TRAINER_ERROR)
    text = pod.termination.message.strip()
    # A traceback names its cause in the last line.
    last = text.rsplit("\n", 1)[-1] if text and not text.startswith("{") else ""
    return reason, f"The trainer ended with exit code {code}{': ' if last else ''}{last}"
