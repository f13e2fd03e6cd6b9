"""Keeps kopf watching: it is started again when it ends, when a watch is silent, and when the namespaces change."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import aiohttp
import kopf

from trainingjob_operator import metrics
from trainingjob_operator.controller import watch as handlers
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.client import RESOURCES
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.resync import Resync
from trainingjob_operator.controller.watch_health import SILENT_SECONDS, WatchHealth
from trainingjob_operator.controller.watch_session import open_session

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0
CHECK_SECONDS = 1.0
STOP_SECONDS = 10.0
FAILURES_IN_A_ROW = 3

logger = logging.getLogger(__name__)


class Watcher:
    """The watches of TrainingJobs, Jobs and Pods.

    Args:
        connection: To the API server.
        registry: Gives kopf its handlers, from what logs in.
        access: Where there is something to watch.
        resync: Is asked to read everything anew after a restart: a watch can lose what vanished meanwhile.
        identity: Name of this replica.
        on_start: Called when kopf has started.
    """

    def __init__(
        self,
        connection: Connection,
        registry: Callable[[Callable[[], kopf.AiohttpSession]], kopf.OperatorRegistry],
        access: Access,
        resync: Resync,
        identity: str,
        on_start: Callable[[], None],
    ) -> None:
        self._connection, self._registry = connection, registry
        self._access, self._resync, self._identity, self._on_start = access, resync, identity, on_start
        self._health = WatchHealth()
        self._failures = 0

    @property
    def ready(self) -> bool:
        """Whether every watch has begun."""
        return self._health.complete

    def fault(self) -> str | None:
        """What is wrong with the watches; None if nothing is."""
        if self._failures >= FAILURES_IN_A_ROW:
            return f"watching ended {self._failures} times in a row; the log says why"
        return self._health.fault()

    async def run(self) -> None:
        """Watch for ever."""
        pause = FIRST_PAUSE
        while True:
            while not self._access.watchable:
                self._health.expect(())
                await asyncio.sleep(CHECK_SECONDS)
            began = time.monotonic()
            if await self._watch(self._access.watchable):
                metrics.WATCH_RESTARTS.inc()
                short = time.monotonic() - began < LONGEST_PAUSE
                self._failures = self._failures + 1 if short else 1
                pause = min(2 * pause, LONGEST_PAUSE) if short else FIRST_PAUSE
                await asyncio.sleep(random.uniform(pause / 2, pause))
            self._resync.request()

    async def _watch(self, namespaces: tuple[str, ...]) -> bool:
        """Run kopf once.

        Returns:
            Whether it ended by a failure, and not because other namespaces are to be watched.
        """
        self._health.expect(resource.path(namespace) for namespace in namespaces for resource in RESOURCES.values())
        sessions: list[aiohttp.ClientSession] = []
        began, ours = time.monotonic(), asyncio.all_tasks()
        kopf_task = asyncio.create_task(self._run_kopf(namespaces, sessions), name="kopf")
        try:
            while not kopf_task.done():
                await asyncio.wait({kopf_task}, timeout=CHECK_SECONDS)
                if self._access.watchable != namespaces:
                    return False
                running = time.monotonic() - began
                if running > LONGEST_PAUSE:
                    self._failures = 0
                fault = self._health.fault()
                if fault and running > SILENT_SECONDS:
                    logger.warning("Watching starts again: %s", fault)
                    return True
            error = None if kopf_task.cancelled() else kopf_task.exception()
            logger.error("Watching ended, and starts again", exc_info=error)
            return True
        finally:
            await _stop(kopf_task, ours)
            for session in sessions:
                await session.close()

    async def _run_kopf(self, namespaces: tuple[str, ...], sessions: list[aiohttp.ClientSession]) -> None:
        def log_in() -> kopf.AiohttpSession:
            sessions.append(open_session(self._connection, self._health))
            return kopf.AiohttpSession(server=self._connection.server, aiohttp_session=sessions[-1])

        # Kopf cancels every task that was started after it: all of ours are started before.
        ours = asyncio.all_tasks()
        everywhere = namespaces == ("",)
        tasks = await kopf.spawn_tasks(
            registry=self._registry(log_in),
            settings=handlers.settings(),
            # Its own guess asks for the name of the user, whom a container does not have.
            identity=self._identity,  # type: ignore[arg-type]
            clusterwide=everywhere,
            namespaces=() if everywhere else namespaces,
            standalone=True,
        )
        self._on_start()
        await kopf.run_tasks(tasks, ignored=ours)


async def _stop(kopf_task: asyncio.Task[None], ours: set[asyncio.Task[object]]) -> None:
    """End kopf, and what it leaves when it hangs."""
    if kopf_task.done():
        return
    kopf_task.cancel()
    await asyncio.wait({kopf_task}, timeout=STOP_SECONDS)
    for task in asyncio.all_tasks() - ours - {kopf_task} if not kopf_task.done() else ():
        task.cancel()
