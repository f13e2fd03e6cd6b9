"""The event handlers of kopf: each event updates the cache and adds the parent to the work queue."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from trainingjob_api.names import GROUP, VERSION
from trainingjob_operator import metrics
from trainingjob_operator.controller.cache import Cache, Resource
from trainingjob_operator.controller.client import MANAGED_SELECTOR, PAGE_SIZE, RESOURCES
from trainingjob_operator.controller.watch_health import INACTIVITY_SECONDS, WATCH_SECONDS
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import Parent, TrainingFleet, TrainingJob

MAX_DELAY_SECONDS = 30.0


class EndlessBackoff:
    """Delays between retries, without end: kopf gives up when there is no further delay."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.5
        while True:
            yield random.uniform(longest / 2, longest)
            longest = min(longest * 2, MAX_DELAY_SECONDS)


class NoDiffBase(kopf.DiffBaseStorage):
    """Stores no state for diffs. The operator uses no diffs, and their computation took half of the CPU time."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Return an empty state."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        """Return no stored state."""

    def store(self, **_: Any) -> None:
        """Store nothing."""


def settings() -> kopf.OperatorSettings:
    """The settings of kopf: everything but watching is switched off."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.watching.chunk_size = PAGE_SIZE
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = INACTIVITY_SECONDS
    settings.watching.label_selectors["batch", "v1", "jobs"] = MANAGED_SELECTOR
    settings.watching.label_selectors["", "v1", "pods"] = MANAGED_SELECTOR
    # For this time after the last event of an object, kopf keeps a task with the whole object.
    settings.queueing.idle_timeout = 0.5
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.error_backoffs = EndlessBackoff()
    return settings


def registry(cache: Cache, queue: WorkQueue, log_in: Callable[[], kopf.AiohttpSession]) -> kopf.OperatorRegistry:
    """The login and event handlers of kopf."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return log_in()

    def on_event(kind: type[Parent | Job | Pod], event: kopf.RawEvent) -> None:
        resource: Resource = kind.parse(event["object"])
        key = cache.drop(resource) if event["type"] == "DELETED" else cache.put(resource)
        if key is not None:
            metrics.CHANGES.labels(RESOURCES[kind].name, "watch").inc()
            queue.add(key)

    @kopf.on.event(GROUP, VERSION, "trainingjobs", registry=registry)
    async def trainingjob_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(TrainingJob, event)

    @kopf.on.event(GROUP, VERSION, "trainingfleets", registry=registry)
    async def trainingfleet_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(TrainingFleet, event)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(Job, event)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(Pod, event)

    return registry
