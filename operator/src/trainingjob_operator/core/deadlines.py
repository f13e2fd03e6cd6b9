"""The deadlines of an unfinished Job: scheduling, start of the trainer, fallback to the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.reasons import Reason
from trainingjob_api.text import instant
from trainingjob_operator.config import Configuration
from trainingjob_operator.core import failures
from trainingjob_operator.core.parent import condition_of
from trainingjob_operator.core.snapshot import Snapshot
from trainingjob_operator.core.specification import Specification

LONGEST_POD_BACKOFF = timedelta(minutes=10)
"""The Job controller waits at most this long before it replaces a failed pod."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """At ``due``, the attempt ends for ``reason``."""

    due: datetime
    reason: Reason
    message: str


def unbound_since(snapshot: Snapshot) -> datetime | None:
    """Since when the started Job has waited for a node; None if it has one, is suspended or was not started yet."""
    job, pod = snapshot.job, snapshot.pod
    if job is None or job.suspended or job.started is None:
        return None
    since = job.started
    if pod is None:
        return _without_pod_since(snapshot, since)
    if not pod.is_active:
        return max(pod.ended + LONGEST_POD_BACKOFF, since)
    if pod.node:
        return None
    # While another worker had a node, this pod did not wait for one.
    return max(pod.created, since, *(other.ended for other in snapshot.pods if other.bound is not None))


def _without_pod_since(snapshot: Snapshot, since: datetime) -> datetime | None:
    """After a bound pod is gone, the time counts from the status that reports it, not from the start of the Job."""
    condition = condition_of(snapshot.parent.status, "Scheduled")
    if not condition:
        return since
    changed = instant(condition["lastTransitionTime"])
    return None if condition["status"] == "True" or changed is None else max(changed, since)


def overrun(specification: Specification) -> str:
    """The message of an attempt that exceeded its deadline."""
    seconds = specification.run_policy.active_deadline_seconds
    return f"The attempt took longer than spec.runPolicy.activeDeadlineSeconds = {seconds} s"


def deadlines(snapshot: Snapshot, specification: Specification, configuration: Configuration) -> Iterator[Deadline]:
    """Every deadline that applies now."""
    since = unbound_since(snapshot)
    if since is not None:
        device = snapshot.parent.status.get("device") or {}
        accelerator, timeout = specification.accelerator, specification.run_policy.scheduling_timeout_seconds
        if device.get("requested") == "Preferred" and "resourceName" in device:
            seconds = accelerator.fallback_after_seconds
            yield Deadline(
                since + timedelta(seconds=seconds),
                Reason.FELL_BACK_TO_CPU,
                f"No node with {device['resourceName']} within {seconds} s; the run continues without it",
            )
        if timeout is not None:
            cause = f": {snapshot.pod.unschedulable}" if snapshot.pod and snapshot.pod.unschedulable else ""
            yield Deadline(
                since + timedelta(seconds=timeout),
                Reason.SCHEDULING_TIMEOUT,
                f"No node within spec.runPolicy.schedulingTimeoutSeconds = {timeout} s{cause}",
            )
    pod = snapshot.pod
    if pod is not None and pod.bound is not None and pod.phase == "Pending" and pod.deletion is None:
        reason, details = failures.start_failure(pod) or (Reason.START_TIMEOUT, f"on node {pod.node}")
        yield Deadline(
            pod.bound + timedelta(seconds=configuration.start_timeout),
            reason,
            f"The trainer did not start within {configuration.start_timeout} s: {details}",
        )
