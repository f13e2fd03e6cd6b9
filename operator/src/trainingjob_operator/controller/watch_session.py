"""The HTTP session of kopf: it authenticates with the current token, and records the activity of each watch.

Kopf lists each kind of object before it watches it, and starts a task for every object of the list. The resync lists
everything anyway, in a fraction of the time. This session therefore makes the lists of kopf empty. Kopf needs only
their resourceVersion, at which its watch starts.

Kopf never uses rejected credentials again, and stops when several watches lose them at the same time
(https://github.com/nolar/kopf/issues/1145). This session therefore hides a 401 from kopf: it reads the token again and
repeats the request until the API server accepts it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from http import HTTPStatus
from typing import cast

import aiohttp

from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.watch_health import WatchHealth

BASE_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 3.0
NO_OBJECT = "metadata.name=-"
"""A field selector that no object matches: this is not a valid name."""

logger = logging.getLogger(__name__)


def open_session(connection: Connection, health: WatchHealth, on_list: Callable[[], None]) -> aiohttp.ClientSession:
    """Open a session. The caller closes it.

    Args:
        connection: To the API server.
        health: Where the activity of each watch is recorded.
        on_list: Called when a watch starts at a new list: what came before has to be listed.
    """
    connector = aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context())
    return aiohttp.ClientSession(connector=connector, middlewares=[_Middleware(connection, health, on_list)])


class _Middleware:
    """Handles each request of kopf."""

    def __init__(self, connection: Connection, health: WatchHealth, on_list: Callable[[], None]) -> None:
        self._connection, self._health, self._on_list = connection, health, on_list

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        path = request.url.path.removeprefix(self._connection.prefix)
        watches = "watch" in request.url.query
        lists = not watches and self._health.expects(path)
        if lists:
            request.url = request.url.update_query(fieldSelector=NO_OBJECT)
        try:
            response = await self._send(path, request, handler)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._health.record_response(path, repr(error))
            raise
        if response.status >= HTTPStatus.BAD_REQUEST:
            self._health.record_response(path, f"the API server answers {response.status} {response.reason}")
        elif watches:
            self._health.record_response(path, f"the API server answers {response.status}, and nothing follows")
            content = _MonitoredContent(response.content, partial(self._health.record_activity, path))
            response.content = cast(aiohttp.StreamReader, content)
        elif lists:
            self._health.record_activity(path)
            self._on_list()
        return response

    async def _send(
        self, path: str, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        delay = BASE_DELAY_SECONDS
        while True:
            authorization = self._connection.authorization()
            if authorization is not None:
                request.headers["Authorization"] = authorization
            response = await handler(request)
            if response.status not in {HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS}:
                return response
            response.close()
            if response.status == HTTPStatus.TOO_MANY_REQUESTS:
                # The API server is busy, or prepares to serve a CRD that was just applied. Kopf would log an error.
                self._health.record_response(path, "the API server answers 429: it asks to wait")
            else:
                self._health.record_response(path, "the API server answers 401: it rejects the token")
                if await asyncio.to_thread(self._connection.renew, authorization):
                    continue
                logger.warning("%s: the API server answers 401 and there is no new token yet; retrying", path)
            await asyncio.sleep(random.uniform(delay / 2, delay))
            delay = min(2 * delay, MAX_DELAY_SECONDS)


class _MonitoredContent:
    """The content of a response that calls ``on_activity`` for each chunk and at the end.

    Kopf does not expose bookmarks or the end of a request.
    """

    def __init__(self, content: aiohttp.StreamReader, on_activity: Callable[[], None]) -> None:
        self._content, self._on_activity = content, on_activity

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for chunk in self._content.iter_chunked(size):
            self._on_activity()
            yield chunk
        self._on_activity()
