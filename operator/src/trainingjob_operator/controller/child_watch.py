"""Watches Jobs and Pods without kopf, whose task for each object takes more time than the reconciliation.

A watch continues from the last full list of its objects, which :class:`Resync` makes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import Any

import aiohttp
import orjson

from trainingjob_operator.controller.backoff import EndlessBackoff
from trainingjob_operator.controller.cache import Cache
from trainingjob_operator.controller.client import CONNECT_SECONDS, RESOURCES
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.resync import Resync
from trainingjob_operator.controller.watch_health import INACTIVITY_SECONDS, WATCH_SECONDS, WatchHealth
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import JSON

CHECK_SECONDS = 0.05
EXPIRED_DELAY_SECONDS = 0.5
CHUNK_BYTES = 1 << 16

OnEvent = Callable[[type[Job | Pod], JSON], None]

logger = logging.getLogger(__name__)


class WatchError(Exception):
    """The API server has ended a watch with an error."""


class _ExpiredError(Exception):
    """The API server no longer has the events since the resourceVersion of the watch."""


class ChildWatch:
    """The watch of the Jobs or the Pods of one namespace.

    Args:
        kind: Job or Pod.
        namespace: "" is all namespaces.
        connection: To the API server.
        session: Of :func:`open_session`.
        health: Of all watches.
        cache: Gives the resourceVersion of the last full list.
        resync: Makes that list, and is requested when the resourceVersion has expired.
        on_event: Handles an event.
    """

    def __init__(  # noqa: PLR0913
        self,
        kind: type[Job | Pod],
        namespace: str,
        *,
        connection: Connection,
        session: aiohttp.ClientSession,
        health: WatchHealth,
        cache: Cache,
        resync: Resync,
        on_event: OnEvent,
    ) -> None:
        self._kind, self._namespace, self._session, self._health = kind, namespace, session, health
        self._cache, self._resync, self._on_event = cache, resync, on_event
        self._path = RESOURCES[kind].path(namespace)
        self._url = f"{connection.server.rstrip('/')}{self._path}"
        self._version = 0

    async def run(self) -> None:
        """Watch for ever.

        Raises:
            WatchError: The API server has ended the watch with an error.
        """
        while True:
            while (listed := self._cache.list_version(self._kind, self._namespace)) <= self._version:
                await asyncio.sleep(CHECK_SECONDS)
            self._version = listed
            try:
                await self._follow()
            except _ExpiredError:
                logger.debug("%s: resourceVersion %d has expired; listing again", self._path, self._version)
                await asyncio.sleep(EXPIRED_DELAY_SECONDS)
                self._resync.request()

    async def _follow(self) -> None:
        """Repeat the request through ended and broken connections."""
        delays = iter(EndlessBackoff())
        while True:
            try:
                async for event in self._events():
                    self._handle(event)
                    delays = iter(EndlessBackoff())
            except (aiohttp.ClientError, TimeoutError) as error:
                logger.debug("%s: %r", self._path, error)
                await asyncio.sleep(next(delays))

    def _handle(self, event: JSON) -> None:
        content = event["object"]
        if event["type"] == "ERROR":
            if content.get("code") == HTTPStatus.GONE:
                raise _ExpiredError
            raise WatchError(f"{self._path}: {content.get('message') or content}")
        self._version = int(content["metadata"]["resourceVersion"])
        if event["type"] != "BOOKMARK":
            self._on_event(self._kind, event)

    async def _events(self) -> AsyncIterator[Any]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": str(self._version),
            "timeoutSeconds": str(WATCH_SECONDS),
            "labelSelector": RESOURCES[self._kind].selector or "",
        }
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=INACTIVITY_SECONDS)
        async with self._session.get(self._url, params=query, timeout=timeout) as response:
            if response.status == HTTPStatus.GONE:
                raise _ExpiredError
            response.raise_for_status()
            self._health.record_start(self._path)
            rest = b""
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield orjson.loads(line)
