"""Runs kopf, and restarts it when it ends, when a watch is silent, and when the namespaces change."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

import aiohttp
import kopf

from trainingjob_operator import metrics
from trainingjob_operator.controller import watch
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.client import RESOURCES
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.resync import Resync
from trainingjob_operator.controller.watch_health import SILENT_SECONDS, WatchHealth
from trainingjob_operator.controller.watch_session import open_session

BASE_DELAY_SECONDS = 0.5
MAX_DELAY_SECONDS = 30.0
CHECK_SECONDS = 1.0
STOP_SECONDS = 10.0
FAILURE_THRESHOLD = 3

logger = logging.getLogger(__name__)


class Watcher:
    """The watches of TrainingJobs, TrainingFleets, Jobs and Pods.

    Args:
        connection: To the API server.
        registry: Builds the handlers of kopf from a function that logs in.
        access: The namespaces that can be watched.
        resync: Is requested when the watches have started, and after each interruption, because a watch tells nothing
            about the time before.
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
        """Whether every watch has started."""
        return self._health.started

    def fault(self) -> str | None:
        """What is wrong with the watches; None if they work."""
        if self._failures >= FAILURE_THRESHOLD:
            return f"watching failed {self._failures} times in a row; see the log"
        return self._health.fault()

    async def run(self) -> None:
        """Watch for ever."""
        delay = BASE_DELAY_SECONDS
        while True:
            while not self._access.watchable:
                self._health.expect(())
                await asyncio.sleep(CHECK_SECONDS)
            began = time.monotonic()
            if await self._watch(self._access.watchable):
                metrics.WATCH_RESTARTS.inc()
                ended_soon = time.monotonic() - began < MAX_DELAY_SECONDS
                self._failures = self._failures + 1 if ended_soon else 1
                delay = min(2 * delay, MAX_DELAY_SECONDS) if ended_soon else BASE_DELAY_SECONDS
                await asyncio.sleep(random.uniform(delay / 2, delay))
            self._resync.request()

    async def _watch(self, namespaces: tuple[str, ...]) -> bool:
        """Run kopf once.

        Returns:
            Whether it failed; False if the namespaces changed.
        """
        self._health.expect(resource.path(namespace) for namespace in namespaces for resource in RESOURCES.values())
        sessions: list[aiohttp.ClientSession] = []
        began, own_tasks = time.monotonic(), asyncio.all_tasks()
        kopf_task = asyncio.create_task(self._run_kopf(namespaces, sessions), name="kopf")
        was_closed = False
        try:
            while not kopf_task.done():
                await asyncio.wait({kopf_task}, timeout=CHECK_SECONDS)
                closed = bool(sessions) and sessions[-1].closed
                if closed and was_closed and not kopf_task.done():
                    # One watch has failed, and the others wait for a login that kopf no longer handles.
                    logger.error("Watching ended; restarting: kopf has closed its connection")
                    return True
                was_closed = closed
                if self._access.watchable != namespaces:
                    return False
                running = time.monotonic() - began
                if running > MAX_DELAY_SECONDS:
                    self._failures = 0
                fault = self._health.fault()
                if fault and running > SILENT_SECONDS:
                    logger.warning("Restarting the watches: %s", fault)
                    return True
            error = None if kopf_task.cancelled() else kopf_task.exception()
            logger.error("Watching ended; restarting", exc_info=error)
            return True
        finally:
            await _stop(kopf_task, own_tasks)
            for session in sessions:
                await session.close()

    def _on_list(self) -> None:
        if self._health.started:
            self._resync.request()

    async def _run_kopf(self, namespaces: tuple[str, ...], sessions: list[aiohttp.ClientSession]) -> None:
        def log_in() -> kopf.AiohttpSession:
            sessions.append(open_session(self._connection, self._health, self._on_list))
            return kopf.AiohttpSession(server=self._connection.server, aiohttp_session=sessions[-1])

        # At its end, kopf cancels every task that was created after it, so that the other tasks must exist before.
        own_tasks = asyncio.all_tasks()
        everywhere = namespaces == ("",)
        tasks = await kopf.spawn_tasks(
            registry=self._registry(log_in),
            settings=watch.settings(),
            # By default kopf reads the name of the user, which does not exist in a container.
            identity=self._identity,  # type: ignore[arg-type]
            clusterwide=everywhere,
            namespaces=() if everywhere else namespaces,
            standalone=True,
        )
        self._on_start()
        await kopf.run_tasks(tasks, ignored=own_tasks)


async def _stop(kopf_task: asyncio.Task[None], own_tasks: set[asyncio.Task[object]]) -> None:
    """Cancel kopf, and its tasks if it does not end in time."""
    if kopf_task.done():
        return
    kopf_task.cancel()
    await asyncio.wait({kopf_task}, timeout=STOP_SECONDS)
    for task in asyncio.all_tasks() - own_tasks - {kopf_task} if not kopf_task.done() else ():
        task.cancel()
