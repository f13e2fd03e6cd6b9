"""Runs the operator's parts, answers the probes, and ends all of it on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Coroutine
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import REGISTRY

from trainingjob_operator import metrics
from trainingjob_operator.config import Configuration, ConfigurationError
from trainingjob_operator.controller import watch as handlers
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.cache import Store
from trainingjob_operator.controller.client import ApiError, Kube
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.leader_election import Leader
from trainingjob_operator.controller.progress import POLLERS, ProgressBoard
from trainingjob_operator.controller.reconciler import Reconciler
from trainingjob_operator.controller.recorder import Recorder
from trainingjob_operator.controller.resync import Resync
from trainingjob_operator.controller.watcher import Watcher
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Key

STUCK_SECONDS = 300.0
FAREWELL_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Supervisor:
    """All parts of one operator process.

    Raises:
        LoginError: There are no credentials for the API server.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        connection = Connection()
        self._kube = Kube(connection, configuration.concurrency)
        self._store = Store()
        self._queue = WorkQueue()
        self._recorder = Recorder(self._kube)
        self._leader = Leader(self._kube, configuration.lease_namespace, configuration.identity)
        self._progress = ProgressBoard(self._store, self._queue, configuration.progress_interval, self._leader.leading)
        self._reconciler = Reconciler(self._kube, self._store, self._recorder, configuration, self._progress.latest)
        self._access = Access(self._kube, configuration.namespaces)
        self._resync = Resync(self._kube, self._store, self._queue, self._access)
        self._watcher = Watcher(
            connection,
            partial(handlers.registry, self._store, self._queue),
            self._access,
            self._resync,
            configuration.identity,
            # Kopf takes the signals too, but needs seconds to end.
            self._take_signals,
        )
        self._stop = asyncio.Event()
        self._busy: dict[Key, float] = {}

    async def run(self) -> None:
        """Run until a signal or a fault that only a person can mend.

        Raises:
            ConfigurationError: The port of the metrics is taken.
            NotInstalledError: The CRD is missing.
        """
        self._take_signals()
        counts = metrics.Counts(self._phases, lambda: len(self._queue))
        REGISTRY.register(counts)
        server = await self._serve()
        # Kopf, when it ends, cancels every task that was started after it: all of ours are started before.
        workers = [self._start(self._work(), f"worker {n}") for n in range(self._configuration.concurrency)]
        parts = [
            self._start(self._recorder.run(), "events"),
            self._start(self._progress.ask(), "progress"),
            self._start(self._progress.publish(), "progress writes"),
            *(self._start(self._progress.poll(), f"poller {n}") for n in range(POLLERS)),
            self._start(self._resync.run(), "resync"),
            self._start(self._leader.run(), "leader"),
            self._start(self._stop.wait(), "signals"),
        ]
        tasks = [*workers, *parts, self._start(self._watcher.run(), "watches")]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        logger.info("Stopping")
        self._stop.set()
        await self._finish_work()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ApiError):
            await self._leader.release()
        await server.cleanup()
        self._kube.close()
        REGISTRY.unregister(counts)
        for task in done:
            task.result()

    async def _serve(self) -> web.AppRunner:
        port = self._configuration.metrics_port
        try:
            return await metrics.serve(port, {"/healthz": self._health, "/readyz": self._readiness})
        except OSError as error:
            raise ConfigurationError(f"METRICS_PORT {port} cannot be served: {error}") from error

    def _start(self, part: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        return asyncio.create_task(part, name=name)

    async def _work(self) -> None:
        """Look at one TrainingJob after the other, once everything is known and it is this operator's turn."""
        await self._resync.complete.wait()
        while not self._stop.is_set():
            key = await self._queue.get()
            await self._leader.leading.wait()
            self._busy[key] = time.monotonic()
            try:
                with metrics.RECONCILIATION_SECONDS.time():
                    again = await self._reconciler.reconcile(key)
            except ApiError as error:
                logger.warning("%s: %s", key, error)
                metrics.RECONCILIATIONS.labels("api-error").inc()
                self._queue.add_backed_off(key)
            except Exception:
                # The edge: one TrainingJob's trouble must not become everyone's.
                logger.exception("%s cannot be looked at", key)
                metrics.RECONCILIATIONS.labels("error").inc()
                self._queue.add_backed_off(key)
            else:
                metrics.RECONCILIATIONS.labels("ok").inc()
                self._queue.forget_trouble(key)
                if again is not None:
                    self._queue.add_after(key, (again - datetime.now(UTC)).total_seconds())
            finally:
                del self._busy[key]
                self._queue.done(key)

    def _take_signals(self) -> None:
        """Stop on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _finish_work(self) -> None:
        """Let workers end the step that they are at."""
        deadline = time.monotonic() + FAREWELL_SECONDS
        while self._busy and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def _phases(self) -> list[tuple[str, str]]:
        jobs = self._store.trainingjobs()
        return [(job.spec["model"]["type"], job.status.get("phase") or "Pending") for job in jobs]

    def _health(self) -> metrics.Probe:
        """Whether the process works; if it does not, a restart may help."""
        oldest = min(self._busy.values(), default=None)
        if oldest is not None and time.monotonic() - oldest > STUCK_SECONDS:
            return metrics.Probe(False, f"a TrainingJob was worked on for more than {STUCK_SECONDS:.0f} s")
        fault = self._watcher.fault()
        return metrics.Probe(not fault, "\n".join([fault or "ok", *self._access.faults]))

    def _readiness(self) -> metrics.Probe:
        """Whether this replica could act: the one that stands by is ready too."""
        health = self._health()
        if not health.passed or (self._resync.complete.is_set() and self._watcher.ready):
            return health
        return metrics.Probe(False, "\n".join(["not everything is read and watched yet", *self._access.faults]))
