"""Which key the work queue returns, and when."""

import asyncio
from collections.abc import Awaitable, Callable

from trainingjob_operator.controller.workqueue import WorkQueue
from trainingjob_operator.core.parent import Key

A, B = Key("TrainingJob", "n", "a"), Key("TrainingJob", "n", "b")


def play(story: Callable[[WorkQueue], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10):
            await story(WorkQueue())

    asyncio.run(run())


def test_a_key_waits_once_however_often_it_is_added() -> None:
    async def story(queue: WorkQueue) -> None:
        for key in (A, B, A, A):
            queue.add(key)
        assert [await queue.get(), await queue.get()] == [A, B]
        assert len(queue) == 0

    play(story)


def test_a_key_that_is_added_while_it_is_processed_is_queued_afterwards() -> None:
    async def story(queue: WorkQueue) -> None:
        queue.add(A)
        await queue.get()
        queue.add(A)
        assert len(queue) == 0
        queue.done(A)
        assert await queue.get() == A

    play(story)


def test_the_earliest_of_several_times_counts() -> None:
    async def story(queue: WorkQueue) -> None:
        queue.add_after(A, 1000)
        queue.add_after(A, 0.01)
        queue.add_after(A, 2000)
        assert await queue.get() == A
        queue.done(A)

    play(story)


def test_the_rate_limit_doubles_its_delay_until_the_key_is_forgotten() -> None:
    async def story(queue: WorkQueue) -> None:
        loop = asyncio.get_running_loop()
        for longest in (0.2, 0.4):
            queue.add_rate_limited(A)
            assert loop.time() + longest / 2 <= queue.due(A) <= loop.time() + longest
            await queue.get()
            queue.done(A)
        queue.forget(A)
        queue.add_rate_limited(A)
        assert queue.due(A) <= loop.time() + 0.2

    play(story)


def test_a_waiting_worker_gets_the_key_of_a_cancelled_one() -> None:
    async def story(queue: WorkQueue) -> None:
        first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add(A)
        first.cancel()
        assert await second == A

    play(story)
