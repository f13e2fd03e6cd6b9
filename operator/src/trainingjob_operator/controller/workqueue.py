"""Which TrainingJobs to look at: each at most once at a time, at once, at a later time, or backed off after trouble."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque

from trainingjob_operator.core.objects import Key

FIRST_BACKOFF = 0.2
LONGEST_BACKOFF = 60.0


class WorkQueue:
    """Keys to work on. A key that is added while it is worked on comes again afterwards."""

    def __init__(self) -> None:
        self._ready: deque[Key] = deque()
        self._waiting: set[Key] = set()
        self._active: set[Key] = set()
        self._again: set[Key] = set()
        self._later: list[tuple[float, Key]] = []
        self._due: dict[Key, float] = {}
        self._troubles: dict[Key, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._getters: deque[asyncio.Future[None]] = deque()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: Key) -> None:
        """Look at it as soon as possible."""
        if key in self._active:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._ready.append(key)
            self._notify()

    def add_after(self, key: Key, seconds: float) -> None:
        """Look at it in ``seconds`` at the latest; an earlier time that was asked for stands."""
        due = asyncio.get_running_loop().time() + max(seconds, 0.0)
        if due < self.due(key):
            self._due[key] = due
            heapq.heappush(self._later, (due, key))
            self._arm()

    def add_backed_off(self, key: Key) -> None:
        """Look at it again after trouble: each time in a row twice as late, and never many at once."""
        troubles = self._troubles.get(key, 0)
        self._troubles[key] = troubles + 1
        longest = min(FIRST_BACKOFF * 2**troubles, LONGEST_BACKOFF)
        self.add_after(key, longest * random.uniform(0.5, 1.0))

    def due(self, key: Key) -> float:
        """The event loop's time at which it is looked at again, infinite if there is none."""
        return self._due.get(key, float("inf"))

    def forget_trouble(self, key: Key) -> None:
        """It went well: the next trouble is the first."""
        self._troubles.pop(key, None)

    async def get(self) -> Key:
        """Wait for a key and start working on it."""
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
        self._waiting.discard(key)
        self._active.add(key)
        return key

    def done(self, key: Key) -> None:
        """Working on it has ended, well or not."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
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
        if self._later:
            self._timer = asyncio.get_running_loop().call_at(self._later[0][0], self._fire)

    def _fire(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._later and self._later[0][0] <= now + 0.001:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                del self._due[key]
                self.add(key)
        self._arm()
