"""The fields of the status that only a TrainingFleet has: its schedule and its machines. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from trainingjob_api.reasons import Reason
from trainingjob_api.text import timestamp
from trainingjob_operator.core import machines
from trainingjob_operator.core.decision import Decision, FinishRun, SkipRun, StartAttempt
from trainingjob_operator.core.parent import JSON, Parent
from trainingjob_operator.core.triggers import next_schedule_time


def with_schedule(status: dict[str, Any], parent: Parent, decision: Decision, now: datetime) -> dict[str, Any]:
    """The status with the time of the next scheduled run, and of the last one if it starts now."""
    status.pop("nextScheduleTime", None)
    if isinstance(decision, SkipRun):
        return status | _next_run(parent, now) | dict(decision.fields)
    if isinstance(decision, StartAttempt) and decision.scheduled is not None and parent.schedule is not None:
        following = timestamp(parent.schedule.after(now))
        return status | {"lastScheduleTime": timestamp(decision.scheduled), "nextScheduleTime": following}
    return status | _next_run(parent, now)


def with_schedule_error(condition: JSON, parent: Parent, ended: JSON, now: datetime) -> dict[str, Any]:
    """The condition ``Stalled`` after a run: also true while the schedule is not valid, so that no run follows.

    Args:
        condition: The condition as it is.
        parent: The TrainingFleet.
        ended: The condition that says how the run has ended.
        now: The time, with a time zone.
    """
    error = parent.schedule.error if parent.schedule else None
    value = "True" if error or ended["status"] == "False" else "False"
    changed = {
        "status": value,
        "reason": str(Reason.INVALID_CONFIGURATION) if error else ended["reason"],
        "message": f"No run follows: {error}" if error else ended["message"],
    }
    if value != condition["status"]:
        changed["lastTransitionTime"] = timestamp(now)
    return {**condition, **changed}


def count_fields(counts: Mapping[str, int]) -> dict[str, Any]:
    """``machines`` in the status."""
    return {"machines": {**counts, "display": machines.display(counts)}}


def result_fields(decision: FinishRun) -> dict[str, Any]:
    """The fields at the end of a run, beside those of the report."""
    counts = decision.report.fields.get("machines") if decision.report else None
    return count_fields(counts) if counts else {}


def _next_run(parent: Parent, now: datetime) -> dict[str, str]:
    upcoming = next_schedule_time(parent, now)
    return {"nextScheduleTime": timestamp(upcoming)} if upcoming else {}
