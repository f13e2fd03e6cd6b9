"""Reads the progress of running trainers and workers. It is for display only, so errors are ignored.

New progress is released at a bounded rate, because each one leads to a write of the status.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from trainingjob_api.fleet_run import FLEET_MACHINES_METRIC, SELECTED
from trainingjob_api.names import METRICS_PORT
from trainingjob_api.progress import ProgressMetric, Stage
from trainingjob_api.termination_report import LARGEST_INT32
from trainingjob_operator.controller.cache import Cache
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core import machines
from trainingjob_operator.core.objects import Pod
from trainingjob_operator.core.parent import Key, Parent
from trainingjob_operator.core.progress import most_advanced
from trainingjob_operator.core.snapshot import Progress

POLLERS = 16
WRITES_PER_SECOND = 10
TIMEOUT_SECONDS = 3.0
MAX_RESPONSE_BYTES = 1_000_000
_STAGES = {str(stage) for stage in Stage}

logger = logging.getLogger(__name__)


class ProgressPoller:
    """The latest progress of every running TrainingJob and TrainingFleet."""

    def __init__(self, cache: Cache, queue: WorkQueue, interval: float, leading: asyncio.Event) -> None:
        """Reads from each trainer every ``interval`` seconds, while ``leading`` is set."""
        self._cache, self._queue, self._interval, self._leading = cache, queue, interval, leading
        self._latest: dict[str, Progress] = {}
        self._first_samples: dict[str, tuple[datetime, float]] = {}
        self._unpublished: dict[str, tuple[Key, Progress]] = {}
        self._to_poll: asyncio.Queue[tuple[Parent, list[Pod]]] = asyncio.Queue()

    def latest(self, parent: Parent) -> Progress | None:
        """The latest progress of a TrainingJob or TrainingFleet."""
        return self._latest.get(parent.uid)

    async def schedule(self) -> None:
        """Schedule a poll of the running pods of each parent once per interval, for ever."""
        while True:
            await asyncio.sleep(self._interval)
            await self._leading.wait()
            if not self._to_poll.empty():
                continue
            running = list(self._running())
            self._keep_only({parent.uid for parent, _ in running}, {pod.uid for _, pods in running for pod in pods})
            for pair in running:
                self._to_poll.put_nowait(pair)

    async def poll(self) -> None:
        """Poll the pods of one scheduled parent after the other, for ever."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                parent, pods = await self._to_poll.get()
                found = await asyncio.gather(*(_read(session, pod) for pod in pods))
                progress = most_advanced(each for each in found if each is not None)
                if progress is not None:
                    self._unpublished[parent.uid] = parent.key, self._with_completion(progress)

    async def publish(self) -> None:
        """Release new progress at a bounded rate, for ever."""
        while True:
            await asyncio.sleep(1 / WRITES_PER_SECOND)
            if self._unpublished:
                uid = next(iter(self._unpublished))
                key, progress = self._unpublished.pop(uid)
                self._latest[uid] = progress
                self._queue.add(key)

    def _running(self) -> Iterator[tuple[Parent, list[Pod]]]:
        for parent, pods in self._cache.running(self._cache.parents()):
            if reachable := [pod for pod in pods if pod.address]:
                yield parent, reachable

    def _with_completion(self, progress: Progress) -> Progress:
        """Extrapolate from the first sample of the pod: a resumed training does not start at zero."""
        if progress.ratio is None:
            return progress
        since, ratio = self._first_samples.setdefault(progress.pod, (progress.time, progress.ratio))
        gained, seconds = progress.ratio - ratio, (progress.time - since).total_seconds()
        left = (1 - progress.ratio) / gained * seconds if gained > 0 else math.inf
        if left > timedelta(days=365).total_seconds():
            return progress
        return replace(progress, completion=progress.time + timedelta(seconds=left))

    def _keep_only(self, parents: Iterable[str], pods: Iterable[str]) -> None:
        self._latest = {uid: self._latest[uid] for uid in self._latest.keys() & parents}
        self._first_samples = {uid: self._first_samples[uid] for uid in self._first_samples.keys() & pods}


def parse(text: str, pod: str, now: datetime) -> Progress:
    """Parse the metrics of a trainer in the text format of Prometheus; invalid values are left out.

    Raises:
        ValueError: The text is not in that format.
    """
    values: dict[str, float] = {}
    counts: dict[str, int] = {}
    stage = None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == ProgressMetric.STAGE:
                if sample.value == 1:
                    stage = sample.labels.get(ProgressMetric.STAGE)
            elif sample.name == FLEET_MACHINES_METRIC:
                state, count = sample.labels.get("state"), _count(sample.value)
                if state in machines.NAMES and count is not None:
                    counts[state] = count
            elif math.isfinite(sample.value):
                values[sample.name] = sample.value
    ratio = values.get(ProgressMetric.RATIO)
    return Progress(
        pod=pod,
        time=now,
        stage=stage if stage in _STAGES else None,
        ratio=None if ratio is None else min(max(ratio, 0.0), 1.0),
        epoch=_count(values.get(ProgressMetric.EPOCH)),
        epochs=_count(values.get(ProgressMetric.EPOCHS)),
        loss=values.get(ProgressMetric.LOSS),
        validation_loss=values.get(ProgressMetric.VALIDATION_LOSS),
        machines=counts if counts.get(SELECTED) else None,
    )


async def _read(session: aiohttp.ClientSession, pod: Pod) -> Progress | None:
    """The progress that a pod reports; None if it cannot be read."""
    try:
        return parse(await _fetch(session, pod), pod.uid, datetime.now(UTC))
    except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
        logger.debug("The progress of pod %s/%s cannot be read: %s", pod.namespace, pod.name, error)
        return None


async def _fetch(session: aiohttp.ClientSession, pod: Pod) -> str:
    host = f"[{pod.address}]" if ":" in str(pod.address) else pod.address
    async with session.get(f"http://{host}:{METRICS_PORT}/metrics", allow_redirects=False) as response:
        response.raise_for_status()
        body = await response.content.read(MAX_RESPONSE_BYTES)
        while len(body) < MAX_RESPONSE_BYTES and (more := await response.content.read(MAX_RESPONSE_BYTES - len(body))):
            body += more
        return body.decode("utf-8", "replace")


def _count(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= LARGEST_INT32 else None
