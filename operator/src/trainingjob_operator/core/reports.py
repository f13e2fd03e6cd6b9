"""The reports of a Job's pods, combined. Pure.

The Job of a TrainingJob has one pod at a time, and the report of the last one counts. The workers of a TrainingFleet
report the same run: the report with the most machines in a final state counts, whichever worker wrote it.
"""

from __future__ import annotations

from trainingjob_api.exit_codes import FINAL_EXIT_CODES
from trainingjob_api.termination_report import Report, read_report
from trainingjob_operator.core.machines import count_final
from trainingjob_operator.core.objects import Pod
from trainingjob_operator.core.parent import Parent, TrainingFleet
from trainingjob_operator.core.snapshot import Snapshot


def pod_report(pod: Pod, parent: Parent) -> Report | None:
    """The report of one pod about the current run."""
    fleet = isinstance(parent, TrainingFleet)
    return read_report(pod.termination_message, parent.uid, parent.current_attempt.run, fleet=fleet)


def job_report(snapshot: Snapshot) -> Report | None:
    """The report of the current Job."""
    parent = snapshot.parent
    pods = snapshot.pods if isinstance(parent, TrainingFleet) else snapshot.pods[-1:]
    reports = [report for pod in reversed(pods) if (report := pod_report(pod, parent)) is not None]
    return max(reports, key=_advance, default=None)


def decisive_pod(snapshot: Snapshot) -> Pod | None:
    """The pod that says why the Job has failed: the last one, but of several workers one whose failure is final."""
    final = [p for p in snapshot.pods if p.termination is not None and p.termination.exit_code in FINAL_EXIT_CODES]
    return (final or snapshot.pods or (None,))[-1]


def _advance(report: Report) -> tuple[bool, int]:
    return report.outcome == "Succeeded", count_final(report.fields.get("machines") or {})
