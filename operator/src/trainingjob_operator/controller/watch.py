"""The events of all watches: each one updates the cache and adds the parent to the work queue.

Kopf watches TrainingJobs and TrainingFleets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import kopf

from trainingjob_api.names import GROUP, VERSION
from trainingjob_operator import metrics
from trainingjob_operator.controller.backoff import EndlessBackoff
from trainingjob_operator.controller.cache import Cache, Resource
from trainingjob_operator.controller.client import PAGE_SIZE, RESOURCES
from trainingjob_operator.controller.watch_health import INACTIVITY_SECONDS, WATCH_SECONDS
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import JSON, Parent, TrainingFleet, TrainingJob

OnEvent = Callable[[type[Parent | Job | Pod], JSON], None]


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
    # For this time after the last event of an object, kopf keeps a task with the whole object.
    settings.queueing.idle_timeout = 0.5
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.error_backoffs = EndlessBackoff()
    return settings


def event_handler(cache: Cache, queue: WorkQueue) -> OnEvent:
    """What handles each event of a watch."""

    def on_event(kind: type[Parent | Job | Pod], event: JSON) -> None:
        resource: Resource = kind.parse(event["object"])
        key = cache.drop(resource) if event["type"] == "DELETED" else cache.put(resource)
        if key is not None:
            metrics.CHANGES.labels(RESOURCES[kind].name, "watch").inc()
            queue.add(key)

    return on_event


def registry(on_event: OnEvent, log_in: Callable[[], kopf.AiohttpSession]) -> kopf.OperatorRegistry:
    """The login and event handlers of kopf."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return log_in()

    @kopf.on.event(GROUP, VERSION, "trainingjobs", registry=registry)
    async def trainingjob_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(TrainingJob, event)

    @kopf.on.event(GROUP, VERSION, "trainingfleets", registry=registry)
    async def trainingfleet_changed(event: kopf.RawEvent, **_: Any) -> None:
        on_event(TrainingFleet, event)

    return registry
