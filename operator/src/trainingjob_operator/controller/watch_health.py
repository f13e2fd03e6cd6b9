"""The last activity of each watch, and which watches are silent."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

WATCH_SECONDS = 20
"""How long one request of a watch lasts. The API server sends a bookmark 2 s before, and then ends the request."""
INACTIVITY_SECONDS = 25.0
"""Kopf repeats the request after this time without data: the connection is broken."""
SILENT_SECONDS = 60.0
"""More than one repeated request can explain: ``INACTIVITY_SECONDS``, ``WATCH_SECONDS``, and 15 s for delays."""


@dataclass
class _Watch:
    last_activity: float
    response: str = ""


class WatchHealth:
    """When each watch was last active: an event, a bookmark, or the regular end of the request.

    A watch is named by its path in the API, such as ``/apis/batch/v1/jobs``.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._watches: dict[str, _Watch] = {}
        self._not_started: set[str] = set()

    def expect(self, paths: Iterable[str]) -> None:
        """Set the watches that run from now on. Their last activity is kept."""
        now = self._clock()
        self._watches = {path: self._watches.get(path) or _Watch(now) for path in paths}
        self._not_started = set(self._watches)

    def expects(self, path: str) -> bool:
        """Whether there is a watch of this path."""
        return path in self._watches

    def record_activity(self, path: str) -> None:
        """The API server sent data of a watch, or of the list before it."""
        if path in self._watches:
            self._watches[path] = _Watch(self._clock())
            self._not_started.discard(path)

    def record_response(self, path: str, response: str) -> None:
        """Store the result of the last request; :meth:`fault` reports it if the watch is silent."""
        if path in self._watches:
            self._watches[path].response = response

    @property
    def started(self) -> bool:
        """Whether every watch was active since :meth:`expect`."""
        return bool(self._watches) and not self._not_started

    def fault(self) -> str | None:
        """Which watches are silent, for how long, and the result of the last request; None if there are none."""
        now = self._clock()
        silent = [
            f"{path} for {now - watch.last_activity:.0f} s{f' ({watch.response})' if watch.response else ''}"
            for path, watch in self._watches.items()
            if now - watch.last_activity > SILENT_SECONDS
        ]
        return f"no event and no bookmark of {', '.join(silent)}" if silent else None
