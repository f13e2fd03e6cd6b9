"""Connects kopf to the store: an event says that an object changed, never what to do about it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import kopf

from trainingjob_api.names import GROUP, VERSION
from trainingjob_operator import metrics
from trainingjob_operator.controller.cache import Known, Store
from trainingjob_operator.controller.client import OURS, PAGE, RESOURCES
from trainingjob_operator.controller.watch_health import INACTIVE_SECONDS, WATCH_SECONDS
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Job, Pod, TrainingJob

LONGEST_PAUSE = 30.0


class EndlessBackoff:
    """Pauses between tries to reach the API server, without end: kopf gives up when they run out."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.5
        while True:
            yield random.uniform(longest / 2, longest)
            longest = min(longest * 2, LONGEST_PAUSE)


class NoDiffBase(kopf.DiffBaseStorage):
    """Nobody here asks kopf what changed: computing it was half of the CPU time."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        """Give nothing to compare."""
        return kopf.BodyEssence({})

    def fetch(self, **_: Any) -> None:
        """Know no earlier state."""

    def store(self, **_: Any) -> None:
        """Leave the object alone."""


def settings() -> kopf.OperatorSettings:
    """Kopf with everything off but watching."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.watching.chunk_size = PAGE
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.inactivity_timeout = INACTIVE_SECONDS
    settings.watching.label_selectors["batch", "v1", "jobs"] = OURS
    settings.watching.label_selectors["", "v1", "pods"] = OURS
    # Kopf's task of an object lingers this long after its last event, and holds the whole object.
    settings.queueing.idle_timeout = 0.5
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.networking.error_backoffs = EndlessBackoff()
    return settings


def registry(store: Store, queue: WorkQueue, log_in: Callable[[], kopf.AiohttpSession]) -> kopf.OperatorRegistry:
    """Handlers for the three kinds: the store takes in what is heard, the queue is told what to look at."""
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return log_in()

    def heard(kind: type[TrainingJob | Job | Pod], event: kopf.RawEvent) -> None:
        known: Known = kind.parse(event["object"])
        key = store.drop(known) if event["type"] == "DELETED" else store.put(known)
        if key is not None:
            metrics.CHANGES.labels(RESOURCES[kind].name, "watch").inc()
            queue.add(key)

    @kopf.on.event(GROUP, VERSION, "trainingjobs", registry=registry)
    async def trainingjob_changed(event: kopf.RawEvent, **_: Any) -> None:
        heard(TrainingJob, event)

    @kopf.on.event("batch", "v1", "jobs", registry=registry)
    async def job_changed(event: kopf.RawEvent, **_: Any) -> None:
        heard(Job, event)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod_changed(event: kopf.RawEvent, **_: Any) -> None:
        heard(Pod, event)

    return registry
