"""An HTTP proxy between the operator and the real API server, which can refuse or delay requests for a test."""

import asyncio
import base64
import json
import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from cluster.clusters import Cluster

_HOP_HEADERS = {"connection", "content-length", "host", "transfer-encoding"}
_BROKEN = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 500, "message": "storage is away"}}) + "\n"


_EXPIRED = b'"code":410'


class Mode(Enum):
    """How requests are handled."""

    RELAY = "the API server answers"
    REFUSE = "401 Unauthorized, as for a token that was revoked"
    BE_SILENT = "no answer, and nothing more of the answers under way"
    SILENCE_WATCHES = "nothing more of the watches; everything else is relayed"
    LOSE_ANSWERS = "the API server handles all requests, but the answer to every second write is lost"
    BREAK_WATCHES = "watches end with an error; everything else is relayed"


class ApiProxy:
    """Speaks plain HTTP with the operator, on 127.0.0.1.

    Attributes:
        port: Where it listens.
        met: How many requests for each path met the mode, since it was set.
        answers: How many answers with each HTTP status it has given; a watch that ends with 410 counts as one, and so
            does a lost answer, as 0.
    """

    def __init__(self, server: str, trust: ssl.SSLContext) -> None:
        self.port = 0
        self.met: Counter[str] = Counter()
        self.answers: Counter[int] = Counter()
        self._server, self._trust = server, trust
        self._mode, self._writes = Mode.RELAY, 0
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()

    def set_mode(self, mode: Mode) -> None:
        """Treat all requests so from now on; answers under way end, unless the mode is silence."""
        self._loop.call_soon_threadsafe(self._set_mode, mode)

    def run(self, started: threading.Event) -> None:
        """Serve until it is stopped."""
        self._loop.run_until_complete(self._serve(started))

    def stop(self) -> None:
        """End what runs in the other thread."""
        self._loop.call_soon_threadsafe(self._stop.set)

    def _set_mode(self, mode: Mode) -> None:
        self._mode = mode
        self.met.clear()
        if mode not in {Mode.BE_SILENT, Mode.SILENCE_WATCHES}:
            for task in self._tasks:
                task.cancel()

    async def _serve(self, started: threading.Event) -> None:
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
        await runner.setup()
        connector = aiohttp.TCPConnector(ssl=self._trust, limit=0)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as self._session:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.port = runner.addresses[0][1]
            started.set()
            await self._stop.wait()
            self._set_mode(Mode.RELAY)
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            return await self._answer_by_mode(request)
        except aiohttp.ClientError:
            return _hang_up(request)
        finally:
            self._tasks.discard(task)

    async def _answer_by_mode(self, request: web.Request) -> web.StreamResponse:
        is_watch = "watch" in request.query
        if self._mode is not Mode.RELAY:
            self.met[request.path] += 1
        if self._mode is Mode.REFUSE:
            self.answers[401] += 1
            return web.json_response({"kind": "Status", "code": 401, "reason": "Unauthorized"}, status=401)
        if self._mode is Mode.BREAK_WATCHES and is_watch:
            return web.Response(text=_BROKEN, content_type="application/json")
        await self._wait_while_silent(is_watch=is_watch)
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_HEADERS}
        url, body = f"{self._server}{request.path_qs}", await request.read() or None
        # The API server refuses the type of content that aiohttp supplies for none.
        options: dict[str, Any] = {"headers": headers, "data": body, "skip_auto_headers": ["Content-Type"]}
        async with self._session.request(request.method, url, **options) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_HEADERS}
            if self._loses(request):
                self.answers[0] += 1
                return _hang_up(request)
            self.answers[answer.status] += 1
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for part in answer.content.iter_any():
                await self._wait_while_silent(is_watch=is_watch)
                self.answers[410] += is_watch and _EXPIRED in part
                await response.write(part)
            await self._wait_while_silent(is_watch=is_watch)
            return response

    async def _wait_while_silent(self, *, is_watch: bool) -> None:
        if self._mode is Mode.BE_SILENT or (self._mode is Mode.SILENCE_WATCHES and is_watch):
            await asyncio.Event().wait()

    def _loses(self, request: web.Request) -> bool:
        if self._mode is not Mode.LOSE_ANSWERS or request.method == "GET":
            return False
        self._writes += 1
        return self._writes % 2 == 0


def _hang_up(request: web.Request) -> web.Response:
    """Ends the connection without an answer, as a server does that is killed."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


@contextmanager
def api_proxy(cluster: Cluster) -> Iterator[ApiProxy]:
    """A proxy to the cluster's API server, until the context ends."""
    config = yaml.safe_load(cluster.run_kubectl("config", "view", "--raw", "--minify", "--flatten"))["clusters"][0]
    authority = config["cluster"]["certificate-authority-data"]
    trust = ssl.create_default_context(cadata=base64.b64decode(authority).decode())
    proxy, started = ApiProxy(config["cluster"]["server"], trust), threading.Event()
    thread = threading.Thread(target=proxy.run, args=(started,), daemon=True)
    thread.start()
    started.wait()
    yield proxy
    proxy.stop()
    thread.join()


def write_kubeconfig_through(proxy: ApiProxy, kubeconfig: Path, path: Path) -> Path:
    """Writes a kubeconfig with the credentials of another one, that leads through the proxy."""
    config = yaml.safe_load(kubeconfig.read_text())
    config["clusters"][0]["cluster"] = {"server": f"http://127.0.0.1:{proxy.port}"}
    path.write_text(yaml.safe_dump(config))
    return path
