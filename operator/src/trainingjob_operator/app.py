"""Starts the parts of the operator, answers the probes, and stops everything on SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine
from functools import partial
from typing import Any

from aiohttp import web
from prometheus_client import REGISTRY

from trainingjob_operator import metrics
from trainingjob_operator.config import Configuration, ConfigurationError
from trainingjob_operator.controller import watch
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.cache import Cache
from trainingjob_operator.controller.client import ApiError, KubernetesClient
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.controller.leader_election import LeaderElector
from trainingjob_operator.controller.progress import POLLERS, ProgressPoller
from trainingjob_operator.controller.reconciler import Reconciler
from trainingjob_operator.controller.recorder import Recorder
from trainingjob_operator.controller.resync import Resync
from trainingjob_operator.controller.watcher import Watcher
from trainingjob_operator.controller.worker import STUCK_SECONDS, WorkerPool
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.state_metrics import State, StateMetrics

SHUTDOWN_GRACE_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Supervisor:
    """All parts of one operator process.

    Raises:
        LoginError: There are no credentials for the API server.
    """

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        connection = Connection()
        self._client = KubernetesClient(connection, configuration.concurrency)
        self._cache = Cache()
        self._queue = WorkQueue()
        self._recorder = Recorder(self._client)
        self._leader = LeaderElector(self._client, configuration.lease_namespace, configuration.identity)
        self._progress = ProgressPoller(self._cache, self._queue, configuration.progress_interval, self._leader.leading)
        self._access = Access(self._client, configuration.namespaces)
        self._resync = Resync(self._client, self._cache, self._queue, self._access)
        self._watcher = Watcher(
            connection,
            partial(watch.registry, self._cache, self._queue),
            self._access,
            self._resync,
            configuration.identity,
            # Kopf also handles the signals, but takes seconds to end.
            self._handle_signals,
        )
        reconciler = Reconciler(self._client, self._cache, self._recorder, configuration, self._progress.latest)
        self._workers = WorkerPool(self._queue, reconciler.reconcile, self._resync.synced, self._leader.leading)
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Run until a signal, or an error that only a person can correct.

        Raises:
            ConfigurationError: The port of the metrics cannot be used.
            NotInstalledError: The CRD is not installed.
        """
        self._handle_signals()
        state_metrics = StateMetrics(self._state)
        REGISTRY.register(state_metrics)
        server = await self._serve()
        # At its end, kopf cancels every task that was created after it, so that all others are created before.
        workers = [self._start(self._workers.work(), f"worker {n}") for n in range(self._configuration.concurrency)]
        parts = [
            self._start(self._recorder.run(), "events"),
            self._start(self._progress.schedule(), "progress schedule"),
            self._start(self._progress.publish(), "progress publisher"),
            *(self._start(self._progress.poll(), f"poller {n}") for n in range(POLLERS)),
            self._start(self._resync.run(), "resync"),
            self._start(self._leader.run(), "leader"),
            self._start(self._stop.wait(), "signals"),
        ]
        tasks = [*workers, *parts, self._start(self._watcher.run(), "watches")]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        logger.info("Stopping")
        await self._workers.drain(SHUTDOWN_GRACE_SECONDS)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ApiError):
            await self._leader.release()
        await server.cleanup()
        self._client.close()
        REGISTRY.unregister(state_metrics)
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

    def _handle_signals(self) -> None:
        """Stop on SIGTERM and SIGINT."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    def _state(self) -> State:
        parents = list(self._cache.parents())
        return State(
            parents=parents,
            trainers={parent.uid: len(pods) for parent, pods in self._cache.running(parents)},
            waiting=len(self._queue),
            leading=self._leader.leading.is_set(),
            watch_failed=self._watcher.fault() is not None,
        )

    def _health(self) -> metrics.Probe:
        """The liveness probe: a restart may help if it fails."""
        if self._workers.is_stuck():
            return metrics.Probe(False, f"a step takes more than {STUCK_SECONDS:.0f} s")
        fault = self._watcher.fault()
        return metrics.Probe(not fault, "\n".join([fault or "ok", *self._access.faults]))

    def _readiness(self) -> metrics.Probe:
        """The readiness probe: a replica that is not the leader is ready too."""
        health = self._health()
        if not health.passed or (self._resync.synced.is_set() and self._watcher.ready):
            return health
        return metrics.Probe(
            False, "\n".join(["the cache is not complete yet, or not every watch has started", *self._access.faults])
        )
