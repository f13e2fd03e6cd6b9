"""What is heard of each watch, and which of them are silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

WATCH_SECONDS = 20
"""How long one request of a watch lasts. The API server sends a bookmark 2 s before, and then ends the request."""
INACTIVE_SECONDS = 25.0
"""Kopf repeats the request when it hears nothing for this long: the connection is broken."""
SILENT_SECONDS = 60.0
"""Silence that a repeated request does not explain: ``INACTIVE_SECONDS``, ``WATCH_SECONDS``, and 15 s for delays."""


@dataclass
class _Watch:
    heard: float
    answer: str = ""


class WatchHealth:
    """When each watch was last heard of: an event, a bookmark, or the end that the API server makes.

    A watch is named by its path in the API, such as ``/apis/batch/v1/jobs``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._unheard: set[str] = set()

    def expect(self, paths: Iterable[str]) -> None:
        """These watches, and no others, run from now on; what is known of them stays."""
        now = self._clock()
        self._watches = {path: self._watches.get(path) or _Watch(now) for path in paths}
        self._unheard = set(self._watches)

    def heard(self, path: str) -> None:
        """The API server sent something on a watch, or the list that precedes it."""
        if path in self._watches:
            self._watches[path] = _Watch(self._clock())
            self._unheard.discard(path)

    def note(self, path: str, answer: str) -> None:
        """Remember what became of the last request, to tell it of a watch that is silent."""
        if path in self._watches:
            self._watches[path].answer = answer

    @property
    def complete(self) -> bool:
        """Whether every watch that is expected was heard of since then."""
        return bool(self._watches) and not self._unheard

    def fault(self) -> str | None:
        """Which watches are silent, for how long, and what became of the last request; None if all is well."""
        now = self._clock()
        silent = [
            f"{path} for {now - watch.heard:.0f} s{f' ({watch.answer})' if watch.answer else ''}"
            for path, watch in self._watches.items()
            if now - watch.heard > SILENT_SECONDS
        ]
        return f"no event and no bookmark of {', '.join(silent)}" if silent else None
