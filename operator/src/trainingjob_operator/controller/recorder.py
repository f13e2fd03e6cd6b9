"""Events on transitions: what to tell about a change of status, and recording it in the background."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from trainingjob_api.names import API_VERSION, KIND
from trainingjob_api.reasons import Reason
from trainingjob_api.text import timestamp
from trainingjob_operator import metrics
from trainingjob_operator.controller.client import EVENTS, ApiError, Kube
from trainingjob_operator.core.objects import JSON, MANAGED_BY, TrainingJob

MESSAGE_LENGTH = 1024
BACKLOG = 10_000
PER_SECOND = 50
"""Events must not crowd out the writes that they tell about."""
NORMAL = {
    Reason.ACCEPTED,
    Reason.QUEUED,
    Reason.STARTING,
    Reason.TRAINING,
    Reason.SUSPENDED,
    Reason.SUPERSEDED,
    Reason.ADOPTED_EXISTING_RUN,
    Reason.COMPLETED,
}
UNSAID = {Reason.STARTING}
"""Told by the pod's own Events."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Transition:
    """Something that happened to a run, worth an Event."""

    reason: str
    message: str
    warning: bool


def transition(old: JSON, new: JSON) -> Transition | None:
    """What a new status says that the old one did not, if that is worth an Event."""
    before, after = _main(old), _main(new)
    if _step(old, before) == _step(new, after) or after.get("reason") in UNSAID:
        return None
    return Transition(after["reason"], after["message"][:MESSAGE_LENGTH], after["reason"] not in NORMAL)


def build_event(trainingjob: TrainingJob, what: Transition, now: datetime) -> dict[str, Any]:
    """The Event as the API takes it. Its name follows from what it says: two operators record it once."""
    run, attempt = trainingjob.claim
    said = f"{trainingjob.uid}/{run}/{attempt}/{what.reason}/{what.message}"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {
            "name": f"{trainingjob.name}.{hashlib.sha256(said.encode()).hexdigest()[:16]}",
            "namespace": trainingjob.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "name": trainingjob.name,
            "namespace": trainingjob.namespace,
            "uid": trainingjob.uid,
            "resourceVersion": str(trainingjob.version),
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


class Recorder:
    """Records Events one after the other, so that they never delay or fail what they tell about."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube
        self._backlog: asyncio.Queue[dict[str, Any]] = asyncio.Queue(BACKLOG)

    def record(self, event: dict[str, Any]) -> None:
        """Have an Event recorded soon; when too many wait, it is lost and counted."""
        try:
            self._backlog.put_nowait(event)
        except asyncio.QueueFull:
            metrics.EVENTS_LOST.inc()

    async def run(self) -> None:
        """Record for ever."""
        while True:
            event = await self._backlog.get()
            try:
                await self._kube.create(EVENTS, event["metadata"]["namespace"], event)
            except ApiError as error:
                if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                    metrics.EVENTS_LOST.inc()
                    logger.warning("The Event %s was not recorded: %s", event["metadata"]["name"], error)
            await asyncio.sleep(1 / PER_SECOND)


def _main(status: JSON) -> JSON:
    return next((c for c in status.get("conditions") or () if c["type"] == "Succeeded"), {})


def _step(status: JSON, main: JSON) -> tuple[object, ...]:
    return status.get("run"), status.get("attempt"), main.get("reason")
