"""Reads everything anew: at start, before anything may be written, then now and then, and after each restart of kopf.

A watch can lose what vanished while it was broken; a whole list cannot.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from trainingjob_operator import metrics
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.cache import Store
from trainingjob_operator.controller.client import RESOURCES, ApiError, Item, Kube, Listing
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Job, Pod, TrainingJob

INTERVAL = 600.0
INTERVAL_WITHOUT_RIGHTS = 30.0
"""While a right is missing: somebody may be about to grant it."""

logger = logging.getLogger(__name__)


class NotInstalledError(Exception):
    """The API server knows no TrainingJobs."""


class Resync:
    """Keeps the store true.

    Attributes:
        complete: Set once everything that may be read was read for the first time: the barrier before any write.
    """

    def __init__(self, kube: Kube, store: Store, queue: WorkQueue, access: Access) -> None:
        self._kube, self._store, self._queue, self._access = kube, store, queue, access
        self._due = asyncio.Event()
        self.complete = asyncio.Event()

    def request(self) -> None:
        """Read everything anew soon."""
        self._due.set()

    async def run(self) -> None:
        """Resync for ever."""
        while True:
            self._due.clear()
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(ApiError),
                wait=wait_random_exponential(multiplier=0.5, max=30),
                before_sleep=_log_trouble,
            ):
                with attempt:
                    await self._read()
            if self._access.watchable:
                self.complete.set()
            loop = asyncio.get_running_loop()
            interval = INTERVAL_WITHOUT_RIGHTS if self._access.faults else INTERVAL
            timer = loop.call_later(interval, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()

    async def _read(self) -> None:
        await self._access.check()
        for namespace in self._access.watchable:
            # Children first: a parent that is known before its Job would have it created once more.
            self._take_in(Pod, namespace, await self._kube.list_all(Pod, namespace))
            self._take_in(Job, namespace, await self._kube.list_all(Job, namespace))
            self._take_in(TrainingJob, namespace, await self._list_trainingjobs(namespace))
        for key in self._store.names():
            self._queue.add(key)
        metrics.LAST_RESYNC.set_to_current_time()

    def _take_in(self, kind: type[Item], namespace: str, listing: Listing[Item]) -> None:
        changed = self._store.replace(kind, namespace, listing.items, listing.version)
        metrics.CHANGES.labels(RESOURCES[kind].name, "resync").inc(len(changed))

    async def _list_trainingjobs(self, namespace: str) -> Listing[TrainingJob]:
        try:
            return await self._kube.list_all(TrainingJob, namespace)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NotInstalledError("the API server knows no TrainingJobs: apply the CRD in crds/ first") from error
            raise


def _log_trouble(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning("The API server cannot be read; trying again in %.1f s: %s", state.upcoming_sleep, error)
