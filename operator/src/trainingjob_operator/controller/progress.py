"""Asks running trainers how far they are. For display only: a pod that cannot be reached costs nothing but the figure.

What is heard enters the board at a bounded rate, because every entry becomes a write of the status.
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

from trainingjob_api.names import METRICS_PORT
from trainingjob_api.progress import ProgressMetric, Stage
from trainingjob_operator.controller.cache import Store
from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.objects import Key, Pod, TrainingJob
from trainingjob_operator.core.snapshot import Progress

POLLERS = 16
WRITES_PER_SECOND = 10
ANSWER_SECONDS = 3.0
LARGEST_ANSWER = 1_000_000
LARGEST_COUNT = 2**31 - 1
_STAGES = {str(stage) for stage in Stage}

logger = logging.getLogger(__name__)


class ProgressBoard:
    """The latest words of every running trainer."""

    def __init__(self, store: Store, queue: WorkQueue, interval: float, leading: asyncio.Event) -> None:
        """Asks each trainer every ``interval`` seconds, while ``leading`` is set."""
        self._store, self._queue, self._interval, self._leading = store, queue, interval, leading
        self._board: dict[str, Progress] = {}
        self._first: dict[str, tuple[datetime, float]] = {}
        self._heard: dict[str, tuple[Key, Progress]] = {}
        self._pods: asyncio.Queue[tuple[TrainingJob, Pod]] = asyncio.Queue()

    def latest(self, trainingjob: TrainingJob) -> Progress | None:
        """What the trainer of a TrainingJob said last."""
        return self._board.get(trainingjob.uid)

    async def ask(self) -> None:
        """Line up the running pods, round after round, for ever."""
        while True:
            await asyncio.sleep(self._interval)
            await self._leading.wait()
            if not self._pods.empty():
                continue
            running = list(self._running())
            self._forget_all_but({t.uid for t, _ in running}, {p.uid for _, p in running})
            for pair in running:
                self._pods.put_nowait(pair)

    async def poll(self) -> None:
        """Ask one pod after the other, for ever."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                trainingjob, pod = await self._pods.get()
                try:
                    text = await _fetch(session, pod)
                    progress = self._with_completion(parse(text, pod.uid, datetime.now(UTC)))
                except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
                    logger.debug("Pod %s/%s does not tell its progress: %s", pod.namespace, pod.name, error)
                    continue
                self._heard[trainingjob.uid] = trainingjob.key, progress

    async def publish(self) -> None:
        """Let what was heard onto the board at a bounded rate, for ever."""
        while True:
            await asyncio.sleep(1 / WRITES_PER_SECOND)
            if self._heard:
                uid = next(iter(self._heard))
                key, progress = self._heard.pop(uid)
                self._board[uid] = progress
                self._queue.add(key)

    def _running(self) -> Iterator[tuple[TrainingJob, Pod]]:
        for trainingjob in self._store.trainingjobs():
            if trainingjob.status.get("phase") == "Running":
                view = self._store.view(trainingjob.key)
                pod = view.pod if view else None
                if pod is not None and pod.phase == "Running" and pod.address:
                    yield trainingjob, pod

    def _with_completion(self, progress: Progress) -> Progress:
        """Extend the pace since the pod was first heard: one that resumed did not start at nothing."""
        if progress.ratio is None:
            return progress
        since, ratio = self._first.setdefault(progress.pod, (progress.time, progress.ratio))
        gained, seconds = progress.ratio - ratio, (progress.time - since).total_seconds()
        left = (1 - progress.ratio) / gained * seconds if gained > 0 else math.inf
        if left > timedelta(days=365).total_seconds():
            return progress
        return replace(progress, completion=progress.time + timedelta(seconds=left))

    def _forget_all_but(self, trainingjobs: Iterable[str], pods: Iterable[str]) -> None:
        self._board = {uid: self._board[uid] for uid in self._board.keys() & trainingjobs}
        self._first = {uid: self._first[uid] for uid in self._first.keys() & pods}


def parse(text: str, pod: str, now: datetime) -> Progress:
    """Read the trainer's figures out of Prometheus' text format; what makes no sense is left out.

    Raises:
        ValueError: It is not that format.
    """
    values: dict[str, float] = {}
    stage = None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == ProgressMetric.STAGE:
                if sample.value == 1:
                    stage = sample.labels.get(ProgressMetric.STAGE)
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
    )


async def _fetch(session: aiohttp.ClientSession, pod: Pod) -> str:
    host = f"[{pod.address}]" if ":" in str(pod.address) else pod.address
    async with session.get(f"http://{host}:{METRICS_PORT}/metrics", allow_redirects=False) as answer:
        answer.raise_for_status()
        body = await answer.content.read(LARGEST_ANSWER)
        while len(body) < LARGEST_ANSWER and (more := await answer.content.read(LARGEST_ANSWER - len(body))):
            body += more
        return body.decode("utf-8", "replace")


def _count(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= LARGEST_COUNT else None
