"""Lists everything: when the watches have started, before any write, then periodically, and after each interruption.

A watch tells nothing about the time before it started; a complete list does.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from http import HTTPStatus
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from trainingjob_operator import metrics
from trainingjob_operator.controller.access import Access
from trainingjob_operator.controller.cache import Cache
from trainingjob_operator.controller.client import RESOURCES, ApiError, Item, KubernetesClient, Listing
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import TrainingFleet, TrainingJob

INTERVAL_SECONDS = 600.0
INTERVAL_WITHOUT_RIGHTS_SECONDS = 30.0
"""While a right is missing, so that the operator notices soon when it is granted."""
WATCHES_SECONDS = 5.0
"""How long the first list waits for the watches. If they do not start, it is made without them."""

ParentKind = TypeVar("ParentKind", TrainingJob, TrainingFleet)

logger = logging.getLogger(__name__)


class NotInstalledError(Exception):
    """A CRD is not installed."""


class Resync:
    """Keeps the cache complete.

    Attributes:
        synced: Set once everything was listed for the first time. No step is executed before.
    """

    def __init__(self, client: KubernetesClient, cache: Cache, queue: WorkQueue, access: Access) -> None:
        self._client, self._cache, self._queue, self._access = client, cache, queue, access
        self._due = asyncio.Event()
        self.synced = asyncio.Event()

    def request(self) -> None:
        """Resync soon."""
        self._due.set()

    async def run(self) -> None:
        """Resync for ever."""
        while True:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type(ApiError),
                wait=wait_random_exponential(multiplier=0.5, max=30),
                before_sleep=_log_retry,
            ):
                with attempt:
                    await self._list_everything()
            if self._access.watchable:
                self.synced.set()
            loop = asyncio.get_running_loop()
            interval = INTERVAL_WITHOUT_RIGHTS_SECONDS if self._access.faults else INTERVAL_SECONDS
            timer = loop.call_later(interval, self._due.set)
            try:
                await self._due.wait()
            finally:
                timer.cancel()

    async def _list_everything(self) -> None:
        await self._access.check()
        if self._access.watchable and not self.synced.is_set():
            # A list that is older than the start of the watches would have to be repeated.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._due.wait(), WATCHES_SECONDS)
        self._due.clear()
        for namespace in self._access.watchable:
            # Children first: the Job of a parent that is in the cache without it would be created again.
            self._replace(Pod, namespace, await self._client.list_all(Pod, namespace))
            self._replace(Job, namespace, await self._client.list_all(Job, namespace))
            self._replace(TrainingJob, namespace, await self._list_parents(TrainingJob, namespace))
            self._replace(TrainingFleet, namespace, await self._list_parents(TrainingFleet, namespace))
        for parent in self._cache.parents():
            self._queue.add(parent.key)
        metrics.LAST_RESYNC.set_to_current_time()

    def _replace(self, kind: type[Item], namespace: str, listing: Listing[Item]) -> None:
        changed = self._cache.replace(kind, namespace, listing.items, listing.version)
        metrics.CHANGES.labels(RESOURCES[kind].name, "resync").inc(len(changed))

    async def _list_parents(self, kind: type[ParentKind], namespace: str) -> Listing[ParentKind]:
        try:
            return await self._client.list_all(kind, namespace)
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise NotInstalledError(f"the CRD of the {kind.kind} is not installed: apply crds/ first") from error
            raise


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    logger.warning("The resync failed; retrying in %.1f s: %s", state.upcoming_sleep, error)
