"""What the status of a TrainingJob or TrainingFleet says about its last runs, for the metrics. Pure.

Times are texts in UTC as the status has them, whose order is that of time.
"""

from __future__ import annotations

from trainingjob_api.text import timestamp
from trainingjob_operator.core.parent import Parent, condition_of


def phase_of(parent: Parent) -> str:
    """The phase; Pending before there is a status."""
    return str(parent.status.get("phase") or "Pending")


def reason_of(parent: Parent) -> str:
    """The reason of the phase, "" before there is a status."""
    return str(condition_of(parent.status, "Succeeded").get("reason", ""))


def last_success(parent: Parent) -> str:
    """When the last run succeeded; when the object was created, for none.

    A TrainingJob of version 0.2 or older has no ``lastSuccessfulTime``; its last runs are in the history.
    """
    ended = (
        run["completionTime"]
        for run in parent.status.get("history") or ()
        if run["phase"] == "Succeeded" and run.get("completionTime")
    )
    return max((parent.status.get("lastSuccessfulTime") or "", *ended)) or timestamp(parent.created)


def last_change(parent: Parent) -> str | None:
    """When an unfinished run last changed its state or advanced; None while none is meant to run.

    A suspended object, one that a queue holds, and a fleet between two runs wait for somebody or something else.
    """
    if phase_of(parent) not in {"Pending", "Running"} or parent.ended:
        return None
    times = [
        timestamp(parent.created),
        parent.status.get("startTime"),
        (parent.status.get("progress") or {}).get("lastReportTime"),
        *(condition["lastTransitionTime"] for condition in parent.status.get("conditions") or ()),
    ]
    return max(str(time) for time in times if time)
