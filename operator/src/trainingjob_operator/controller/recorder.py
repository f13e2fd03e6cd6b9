"""Records Events in the background."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from trainingjob_operator import metrics
from trainingjob_operator.controller.client import EVENTS, ApiError, KubernetesClient
from trainingjob_operator.core.parent import JSON

BACKLOG = 10_000
PER_SECOND = 50
"""Leaves the API server enough time for the writes that the Events report."""

logger = logging.getLogger(__name__)


class Recorder:
    """Records Events one after the other. They never delay a step, and an error does not make it fail."""

    def __init__(self, client: KubernetesClient) -> None:
        self._client = client
        self._backlog: asyncio.Queue[JSON] = asyncio.Queue(BACKLOG)

    def record(self, event: JSON) -> None:
        """Record an Event soon. If the backlog is full, the Event is dropped and counted."""
        try:
            self._backlog.put_nowait(event)
        except asyncio.QueueFull:
            metrics.EVENTS_LOST.inc()

    async def run(self) -> None:
        """Record Events for ever."""
        while True:
            event = await self._backlog.get()
            try:
                await self._client.create(EVENTS, event["metadata"]["namespace"], event)
            except ApiError as error:
                if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                    metrics.EVENTS_LOST.inc()
                    logger.warning("The Event %s was not recorded: %s", event["metadata"]["name"], error)
            await asyncio.sleep(1 / PER_SECOND)
