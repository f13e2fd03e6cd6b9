"""Reads everything anew: at start, before anything may be written, then now and then, and after each restart of kopf.

A watch can lose what vanished while it was broken; a whole list cannot.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus

from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from trainingjob_operator import metrics
from trainingjob_operator.kube import ApiError, Kube, Listing
from trainingjob_operator.model import Job, Pod, TrainingJob
from trainingjob_operator.store import Store
from trainingjob_operator.workqueue import WorkQueue

INTERVAL = 600.0

logger = logging.getLogger(__name__)


class NotInstalledError(Exception):
    """The API server knows no TrainingJobs."""


class Resync:
    """Keeps the store true.

    Attributes:
        complete: Set once everything was read for the first time: the barrier before any write.
    """

    def __init__(self, kube: Kube, store: Store, queue: WorkQueue, namespaces: tuple[str, ...]) -> None:
        self._kube, self._store, self._queue = kube, store, queue
        self._namespaces = namespaces or ("",)
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
                before_sleep=before_sleep_log(logger, logging.WARNING),
            ):
                with attempt:
                    await self._read()
            self.complete.set()
            loop = asyncio.get_running_loop()
            timer = loop.call_later(INTERVAL, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()

    async def _read(self) -> None:
        for namespace in self._namespaces:
            # Children first: a parent that is known before its Job would have it created once more.
            pods = await self._kube.list_all(Pod, namespace)
            self._store.replace(Pod, namespace, pods.items, pods.version)
            jobs = await self._kube.list_all(Job, namespace)
            self._store.replace(Job, namespace, jobs.items, jobs.version)
            trainingjobs = await self._list_trainingjobs(namespace)
            self._store.replace(TrainingJob, namespace, trainingjobs.items, trainingjobs.version)
        for key in self._store.names():
            self._queue.add(key)
        metrics.LAST_RESYNC.set_to_current_time()

    async def _list_trainingjobs(self, namespace: str) -> Listing[TrainingJob]:
        try:
            return await self._kube.list_all(TrainingJob, namespace)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NotInstalledError("the API server knows no TrainingJobs: apply the CRD in crds/ first") from error
            raise
