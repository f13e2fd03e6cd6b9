"""Why a Job has no pod, read from the Events of the Job controller or the Workload of Kueue. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from trainingjob_operator.core.deadlines import unbound_since
from trainingjob_operator.core.parent import JSON
from trainingjob_operator.core.snapshot import Explanation, Snapshot

JOB_UID_LABEL = "kueue.x-k8s.io/job-uid"
LONG_DEBOUNCE = timedelta(seconds=30)
"""How long a queue, the Job controller and the scheduler may take before the status reports it."""
VALIDITY = timedelta(minutes=5)
"""How long an explanation is valid. A thousand waiting Jobs then need about three small requests a second."""


def read_at(snapshot: Snapshot) -> datetime | None:
    """When to read why a queue holds the Job or why it has no pod; None if neither is so."""
    job, pod = snapshot.job, snapshot.pod
    if job is None or job.deleting:
        return None
    if job.suspended:
        # The pod of a Job that is preempted may take minutes to end.
        since = job.created if job.queue else None
    else:
        since = None if pod is not None and pod.is_active else unbound_since(snapshot)
    if since is None:
        return None
    known = current_explanation(snapshot)
    return since + LONG_DEBOUNCE if known is None else known.time + VALIDITY


def current_explanation(snapshot: Snapshot) -> Explanation | None:
    """The explanation of the current Job, if it was read for this version of the Job."""
    known, job = snapshot.explanation, snapshot.job
    return known if known is not None and job is not None and known.job == (job.uid, job.version) else None


def from_events(events: Sequence[JSON]) -> str | None:
    """The message of the newest of these FailedCreate Events."""
    newest = max(events, key=_last_seen, default=None)
    return (newest or {}).get("message") or None


def from_workloads(workloads: Sequence[JSON]) -> str:
    """Why Kueue keeps a Job suspended, from its Workloads."""
    if not workloads:
        return "Kueue has created no Workload for it; check that Kueue runs and manages Jobs of this namespace"
    workload = workloads[0]
    conditions: Mapping[str, JSON] = {c["type"]: c for c in workload.get("status", {}).get("conditions") or ()}
    evicted = conditions.get("Evicted", {})
    cause = str(evicted.get("message", "")) if evicted.get("status") == "True" else ""
    if workload.get("spec", {}).get("active") is False:
        name, namespace = workload["metadata"]["name"], workload["metadata"]["namespace"]
        patch = f"""kubectl patch workload {name} -n {namespace} --type=merge -p '{{"spec":{{"active":true}}}}'"""
        return f"its Workload is deactivated; to activate it: {patch}{f' ({cause})' if cause else ''}"
    for kind in ("QuotaReserved", "Admitted"):
        condition = conditions.get(kind, {})
        if condition.get("status") != "True" and condition.get("message"):
            return f"{condition['message']}{f' ({cause})' if cause and cause != condition['message'] else ''}"
    return cause or "Kueue has not admitted it yet"


def _last_seen(event: JSON) -> str:
    series = event.get("series") or {}
    return str(event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or "")
