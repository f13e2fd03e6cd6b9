"""Which changes of the status are reported as Events, and these Events. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainingjob_api.names import API_VERSION
from trainingjob_api.reasons import Reason
from trainingjob_api.text import timestamp
from trainingjob_operator.core.objects import MANAGED_BY
from trainingjob_operator.core.parent import JSON, Parent, condition_of

MESSAGE_LENGTH = 1024
NORMAL_REASONS = {
    Reason.SCHEDULED,
    Reason.ACCEPTED,
    Reason.QUEUED,
    Reason.STARTING,
    Reason.TRAINING,
    Reason.SUSPENDED,
    Reason.SUPERSEDED,
    Reason.ADOPTED_EXISTING_RUN,
    Reason.COMPLETED,
}
UNREPORTED_REASONS = {Reason.STARTING}
"""The kubelet reports these in the Events of the pod."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of the run that is reported as an Event."""

    reason: str
    message: str
    warning: bool


def transition(old: JSON, new: JSON) -> Transition | None:
    """The transition from the old to the new status, None if it is not reported."""
    before, after = condition_of(old, "Succeeded"), condition_of(new, "Succeeded")
    if _identity(old, before) == _identity(new, after) or after.get("reason") in UNREPORTED_REASONS:
        return None
    return Transition(after["reason"], after["message"][:MESSAGE_LENGTH], after["reason"] not in NORMAL_REASONS)


def build_event(parent: Parent, what: Transition, now: datetime) -> dict[str, Any]:
    """Build the Event. Its name is a hash of its content, so that two operators record it only once."""
    run, attempt = parent.current_attempt
    content = f"{parent.uid}/{run}/{attempt}/{what.reason}/{what.message}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{parent.name}.{hashlib.sha256(content.encode()).hexdigest()[:16]}",
            "namespace": parent.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": parent.kind,
            "name": parent.name,
            "namespace": parent.namespace,
            "uid": parent.uid,
            "resourceVersion": str(parent.version),
        },
        "type": "Warning" if what.warning else "Normal",
        "reason": what.reason,
        "message": what.message,
        "source": {"component": MANAGED_BY},
        "reportingComponent": MANAGED_BY,
        "firstTimestamp": timestamp(now),
        "lastTimestamp": timestamp(now),
        "count": 1,
    }


def _identity(status: JSON, condition: JSON) -> tuple[object, ...]:
    return status.get("run"), status.get("attempt"), condition.get("reason")
