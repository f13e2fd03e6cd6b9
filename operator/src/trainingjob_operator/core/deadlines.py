"""The clocks of an unfinished Job: which one runs, since when, and what is due when it runs out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from trainingjob_api.reasons import Reason
from trainingjob_api.text import instant
from trainingjob_operator.config import Configuration
from trainingjob_operator.core import failures as diagnosis
from trainingjob_operator.core.snapshot import View
from trainingjob_operator.core.specification import Specification

LONGEST_POD_BACKOFF = timedelta(minutes=10)
"""The Job controller waits at most this long before it replaces a failed pod."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """At ``due`` the Job is to go, for ``reason``."""

    due: datetime
    reason: Reason
    message: str


def unbound_since(view: View) -> datetime | None:
    """Since when the Job wants a node and has none; None while it has one, or is held, or was not started yet."""
    job, pod = view.job, view.pod
    if job is None or job.suspended or job.started is None:
        return None
    since = job.started
    if pod is None:
        return _without_pod_since(view, since)
    if pod.live:
        return None if pod.node else max(pod.created, since)
    return max(pod.ended + LONGEST_POD_BACKOFF, since)


def _without_pod_since(view: View, since: datetime) -> datetime | None:
    """A pod that was bound and is gone starts the clock when the status says so, not when the Job started."""
    for condition in view.trainingjob.status.get("conditions") or ():
        if condition["type"] == "Scheduled":
            told = instant(condition["lastTransitionTime"])
            return None if condition["status"] == "True" or told is None else max(told, since)
    return since


def overrun(specification: Specification) -> str:
    """What to say of an attempt that took longer than it may."""
    seconds = specification.run_policy.active_deadline_seconds
    return f"The attempt took longer than spec.runPolicy.activeDeadlineSeconds = {seconds} s"


def deadlines(view: View, specification: Specification, configuration: Configuration) -> Iterator[Deadline]:
    """Every clock that runs now."""
    since = unbound_since(view)
    if since is not None:
        device = view.trainingjob.status.get("device") or {}
        accelerator, timeout = specification.accelerator, specification.run_policy.scheduling_timeout_seconds
        if device.get("requested") == "Preferred" and "resourceName" in device:
            seconds = accelerator.fallback_after_seconds
            yield Deadline(
                since + timedelta(seconds=seconds),
                Reason.FELL_BACK_TO_CPU,
                f"No node with {device['resourceName']} within {seconds} s; the run goes on without",
            )
        if timeout is not None:
            words = view.pod.unschedulable if view.pod else None
            yield Deadline(
                since + timedelta(seconds=timeout),
                Reason.SCHEDULING_TIMEOUT,
                f"No node within spec.runPolicy.schedulingTimeoutSeconds = {timeout} s{f': {words}' if words else ''}",
            )
    pod = view.pod
    if pod is not None and pod.bound is not None and pod.phase == "Pending" and pod.deletion is None:
        reason, words = diagnosis.waiting(pod) or (Reason.START_TIMEOUT, f"on node {pod.node}")
        yield Deadline(
            pod.bound + timedelta(seconds=configuration.start_timeout),
            reason,
            f"The trainer did not start within {configuration.start_timeout} s: {words}",
        )
