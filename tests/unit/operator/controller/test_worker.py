"""Workers: one step at a time for each TrainingJob, until there is nothing to do."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from trainingjob_operator.controller.client import ApiError
from trainingjob_operator.controller.reconciler import Result
from trainingjob_operator.controller.worker import WorkerPool
from trainingjob_operator.controller.workqueue import MAX_STEPS, WorkQueue
from trainingjob_operator.core.parent import Key

KEY, OTHER = Key("TrainingJob", "pumps", "one"), Key("TrainingJob", "pumps", "other")
Reconcile = Callable[[Key], Awaitable[Result]]


def work(reconcile: Reconcile, *keys: Key) -> WorkQueue:
    """Lets one worker process the keys until the queue is empty; returns the queue."""

    async def run() -> WorkQueue:
        queue, synced, leading = WorkQueue(), asyncio.Event(), asyncio.Event()
        synced.set()
        leading.set()
        pool = WorkerPool(queue, reconcile, synced, leading)
        worker = asyncio.create_task(pool.work())
        for key in keys:
            queue.add(key)
        async with asyncio.timeout(10):
            while len(queue):
                await asyncio.sleep(0)
            await pool.drain(5)
        worker.cancel()
        return queue

    return asyncio.run(run())


def test_a_worker_settles_one_trainingjob_before_it_starts_the_next() -> None:
    steps: list[Key] = []

    async def three_steps(key: Key) -> Result:
        steps.append(key)
        return Result(requeue=steps.count(key) < 3)

    work(three_steps, KEY, OTHER)
    assert steps == [KEY] * 3 + [OTHER] * 3


def test_a_trainingjob_that_never_settles_is_rate_limited() -> None:
    steps: list[Key] = []

    async def endless(key: Key) -> Result:
        steps.append(key)
        return Result(requeue=True)

    queue = work(endless, KEY)
    assert len(steps) == MAX_STEPS + 1
    assert queue.due(KEY) < float("inf")


def test_a_settled_trainingjob_is_reconciled_again_at_the_requested_time() -> None:
    async def wait(_: Key) -> Result:
        return Result(requeue_after=timedelta(hours=1))

    assert work(wait, KEY).due(KEY) < float("inf")
    assert work(wait, KEY).due(OTHER) == float("inf")


@pytest.mark.parametrize("error", [ApiError(500, "InternalError", "no leader"), ValueError("a defect")])
def test_an_error_is_retried_with_rate_limit_and_does_not_stop_the_worker(error: Exception) -> None:
    steps: list[Key] = []

    async def fail(key: Key) -> Result:
        steps.append(key)
        if key == KEY:
            raise error
        return Result()

    queue = work(fail, KEY, OTHER)
    assert steps == [KEY, OTHER]
    assert queue.due(KEY) < queue.due(OTHER) == float("inf")
