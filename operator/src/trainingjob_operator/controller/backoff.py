"""Delays between the retries of a watch."""

from __future__ import annotations

import random
from collections.abc import Iterator

MAX_DELAY_SECONDS = 30.0


class EndlessBackoff:
    """Delays between retries, without end: kopf gives up when there is no further delay."""

    def __iter__(self) -> Iterator[float]:
        longest = 0.5
        while True:
            yield random.uniform(longest / 2, longest)
            longest = min(longest * 2, MAX_DELAY_SECONDS)
