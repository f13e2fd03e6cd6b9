"""The HTTP session that kopf watches with: it logs in with the current token, and tells what is heard of a watch.

Kopf counts credentials that were refused as lost for ever, and stops for good when several watches lose them together
(https://github.com/nolar/kopf/issues/1145). Here it never learns of a 401: the token is read anew and the request
repeated until the API server takes it.
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

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 3.0

logger = logging.getLogger(__name__)


def open_session(connection: Connection, health: WatchHealth) -> aiohttp.ClientSession:
    """Open a session; whoever opens it closes it."""
    connector = aiohttp.TCPConnector(limit=0, ssl=connection.ssl_context())
    return aiohttp.ClientSession(connector=connector, middlewares=[_Middleware(connection, health)])


class _Middleware:
    """Stands between kopf and the API server."""

    def __init__(self, connection: Connection, health: WatchHealth) -> None:
        self._connection, self._health = connection, health

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        path = request.url.path.removeprefix(self._connection.prefix)
        try:
            response = await self._ask(path, request, handler)
        except (aiohttp.ClientError, TimeoutError) as error:
            self._health.note(path, repr(error))
            raise
        if response.status >= HTTPStatus.BAD_REQUEST:
            self._health.note(path, f"the API server answers {response.status} {response.reason}")
        elif "watch" in request.url.query:
            self._health.note(path, f"the API server answers {response.status}, and nothing follows")
            content = _HeardContent(response.content, partial(self._health.heard, path))
            response.content = cast(aiohttp.StreamReader, content)
        else:
            self._health.heard(path)
        return response

    async def _ask(
        self, path: str, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        pause = FIRST_PAUSE
        while True:
            authorization = self._connection.authorization()
            if authorization is not None:
                request.headers["Authorization"] = authorization
            response = await handler(request)
            if response.status != HTTPStatus.UNAUTHORIZED:
                return response
            response.close()
            self._health.note(path, "the API server answers 401: it does not take the token")
            if not await asyncio.to_thread(self._connection.renew, authorization):
                logger.warning("%s: the API server answers 401 and there is no new token yet; trying again", path)
                await asyncio.sleep(random.uniform(pause / 2, pause))
                pause = min(2 * pause, LONGEST_PAUSE)


class _HeardContent:
    """The content of a response that tells of each part that comes, and of its end.

    Kopf shows neither bookmarks nor the end of a request to its users.
    """

    def __init__(self, content: aiohttp.StreamReader, heard: Callable[[], None]) -> None:
        self._content, self._heard = content, heard

    def __getattr__(self, name: str) -> object:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        async for part in self._content.iter_chunked(size):
            self._heard()
            yield part
        self._heard()
