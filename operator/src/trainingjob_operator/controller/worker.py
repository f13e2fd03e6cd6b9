"""Takes TrainingJobs and TrainingFleets from the work queue and reconciles them, step by step."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from trainingjob_api.log_format import identity_of
from trainingjob_operator import metrics
from trainingjob_operator.controller.client import ApiError
from trainingjob_operator.controller.reconciler import Result
from trainingjob_operator.controller.workqueue import MAX_STEPS, WorkQueue
from trainingjob_operator.core.parent import Key

STUCK_SECONDS = 300.0

logger = logging.getLogger(__name__)


class WorkerPool:
    """Workers that share one queue. At most one of them reconciles a given object at a time.

    Args:
        queue: Of objects to reconcile.
        reconcile: Executes one step.
        synced: Set once the cache is complete; no step is executed before.
        leading: Set while this replica is the leader; no step is executed while it is not.
    """

    def __init__(
        self,
        queue: WorkQueue,
        reconcile: Callable[[Key], Awaitable[Result]],
        synced: asyncio.Event,
        leading: asyncio.Event,
    ) -> None:
        self._queue, self._reconcile = queue, reconcile
        self._synced, self._leading = synced, leading
        self._started: dict[Key, float] = {}
        self._stopping = False

    async def work(self) -> None:
        """Work as one worker until :meth:`drain` is called."""
        await self._synced.wait()
        while not self._stopping:
            key = await self._queue.get()
            await self._leading.wait()
            self._started[key] = time.monotonic()
            try:
                await self._step(key)
            finally:
                del self._started[key]
                self._queue.done(key)

    async def drain(self, seconds: float) -> None:
        """Take no further keys, and wait until the steps in progress end, or until this many seconds have passed."""
        self._stopping = True
        deadline = time.monotonic() + seconds
        while self._started and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    def is_stuck(self) -> bool:
        """Whether a step has taken more than ``STUCK_SECONDS``."""
        oldest = min(self._started.values(), default=None)
        return oldest is not None and time.monotonic() - oldest > STUCK_SECONDS

    async def _step(self, key: Key) -> None:
        try:
            with metrics.RECONCILIATION_SECONDS.time():
                result = await self._reconcile(key)
        except ApiError as error:
            logger.warning("%s: %s", key, error, extra=identity_of(*key))
            metrics.RECONCILIATIONS.labels("api-error").inc()
            self._queue.add_rate_limited(key)
            return
        except Exception:
            # An error in one object must not stop the others.
            logger.exception("%s cannot be reconciled", key, extra=identity_of(*key))
            metrics.RECONCILIATIONS.labels("error").inc()
            self._queue.add_rate_limited(key)
            return
        metrics.RECONCILIATIONS.labels("ok").inc()
        if not result.requeue:
            self._queue.forget(key)
            if result.requeue_after is not None:
                self._queue.add_after(key, result.requeue_after.total_seconds())
        elif not self._queue.add_next_step(key):
            message = "%s is not settled after %d steps in a row; the next steps are rate limited"
            logger.warning(message, key, MAX_STEPS, extra=identity_of(*key))
