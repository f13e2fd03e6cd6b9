"""The work queue: TrainingJobs and TrainingFleets to reconcile now, at a given time, or rate limited after an error."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque

from trainingjob_operator.core.parent import Key

BASE_DELAY_SECONDS = 0.2
MAX_DELAY_SECONDS = 60.0
MAX_STEPS = 10
"""Steps in a row before a key is rate limited. No object needs as many to settle."""


class WorkQueue:
    """A queue of unique keys. A key that is added while it is processed is queued again afterwards."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._queued: set[Key] = set()
        self._processing: set[Key] = set()
        self._readded: set[Key] = set()
        self._delayed: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._failures: dict[Key, int] = {}
        self._steps: dict[Key, int] = {}
        self._unsettled: set[Key] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._getters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Process the key as soon as possible."""
        if key in self._processing:
            self._readded.add(key)
        elif key not in self._queued:
            self._queued.add(key)
            self._ready.append(key)
            self._notify()

    def add_after(self, key: Key, seconds: float) -> None:
        """Process the key after this many seconds, or at an earlier time that was requested before."""
        due = asyncio.get_running_loop().time() + max(seconds, 0.0)
        if due < self.due(key):
            self._due[key] = due
            heapq.heappush(self._delayed, (due, key))
            self._arm()

    def add_rate_limited(self, key: Key) -> None:
        """Process the key again after a delay that doubles with each call, with jitter."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        longest = min(BASE_DELAY_SECONDS * 2**failures, MAX_DELAY_SECONDS)
        self.add_after(key, longest * random.uniform(0.5, 1.0))

    def due(self, key: Key) -> float:
        """The time of the event loop at which the key is added, infinite if there is none."""
        return self._due.get(key, float("inf"))

    def add_next_step(self, key: Key) -> bool:
        """Process the key again before all others, because the step that is being processed was not the last one.

        A burst of new objects then gets its first Jobs before the last objects are accepted.

        Returns:
            False if there were more than ``MAX_STEPS`` steps in a row; the key is then rate limited.
        """
        steps = self._steps[key] = self._steps.get(key, 0) + 1
        if steps > MAX_STEPS:
            self.add_rate_limited(key)
            return False
        self._unsettled.add(key)
        return True

    def forget(self, key: Key) -> None:
        """Forget the failures and steps of a key that has settled."""
        self._failures.pop(key, None)
        self._steps.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key and start to process it."""
        while not self._ready:
            getter = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                if getter in self._getters:
                    self._getters.remove(getter)
                elif self._ready:
                    self._notify()
                raise
        key = self._ready.popleft()
        self._queued.discard(key)
        self._processing.add(key)
        return key

    def done(self, key: Key) -> None:
        """Processing of the key has ended, with success or not."""
        self._processing.discard(key)
        if key in self._unsettled:
            self._unsettled.discard(key)
            self._readded.discard(key)
            self._queued.add(key)
            self._ready.appendleft(key)
            self._notify()
        elif key in self._readded:
            self._readded.discard(key)
            self.add(key)

    def _notify(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            self._timer = asyncio.get_running_loop().call_at(self._delayed[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._delayed and self._delayed[0][0] <= now + 0.001:
            due, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()
