"""Why a Job has no pod, in the words of those who know: the Job controller's Events, and Kueue's Workload. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from trainingjob_operator.core.deadlines import unbound_since
from trainingjob_operator.core.objects import JSON
from trainingjob_operator.core.snapshot import Explanation, View

JOB_UID_LABEL = "kueue.x-k8s.io/job-uid"
PATIENCE = timedelta(seconds=30)
"""How long a queue, the Job controller and the scheduler may take over a pod before that is worth a word."""
VALIDITY = timedelta(minutes=5)
"""How long an answer counts: a thousand Jobs that wait cost three small requests a second."""


def to_be_read(view: View) -> datetime | None:
    """From when on to ask why the Job has no pod; None while it has one."""
    job, pod = view.job, view.pod
    if job is None or job.deleting or (pod is not None and pod.live):
        return None
    if job.suspended and not job.queue:
        return None
    since = job.created if job.suspended else unbound_since(view)
    if since is None:
        return None
    known = about(view)
    return since + PATIENCE if known is None else known.time + VALIDITY


def about(view: View) -> Explanation | None:
    """What was said about the claimed Job as it is now."""
    known, job = view.explanation, view.job
    return known if known is not None and job is not None and known.job == (job.uid, job.version) else None


def from_events(events: Sequence[JSON]) -> str | None:
    """The message of the newest Event that says why a pod could not be created."""
    newest = max(events, key=_last_seen, default=None)
    return (newest or {}).get("message") or None


def from_workloads(workloads: Sequence[JSON]) -> str:
    """Why Kueue holds a Job, from the Workloads that it has made of it."""
    if not workloads:
        return "Kueue has made no Workload of it; see that Kueue runs and manages Jobs of this namespace"
    workload = workloads[0]
    conditions: Mapping[str, JSON] = {c["type"]: c for c in workload.get("status", {}).get("conditions") or ()}
    evicted = conditions.get("Evicted", {})
    cause = str(evicted.get("message", "")) if evicted.get("status") == "True" else ""
    if workload.get("spec", {}).get("active") is False:
        name, namespace = workload["metadata"]["name"], workload["metadata"]["namespace"]
        patch = f"""kubectl patch workload {name} -n {namespace} --type=merge -p '{{"spec":{{"active":true}}}}'"""
        return f"its Workload is deactivated and waits for ever, until: {patch}{f' ({cause})' if cause else ''}"
    for kind in ("QuotaReserved", "Admitted"):
        condition = conditions.get(kind, {})
        if condition.get("status") != "True" and condition.get("message"):
            return f"{condition['message']}{f' ({cause})' if cause and cause != condition['message'] else ''}"
    return cause or "Kueue has not decided about it yet"


def _last_seen(event: JSON) -> str:
    series = event.get("series") or {}
    return str(event.get("lastTimestamp") or series.get("lastObservedTime") or event.get("eventTime") or "")
