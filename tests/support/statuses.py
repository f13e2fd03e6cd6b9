"""Waits for the status of an object, and shows the last one when it does not come."""

import json
from collections.abc import Callable
from typing import Any

from cluster.processes import wait_until


def wait_for(
    read: Callable[[], dict[str, Any]], what: str, holds: Callable[[dict[str, Any]], object], patience_seconds: float
) -> dict[str, Any]:
    """Waits until what is read fulfils a condition, and returns it.

    Args:
        read: Reads the object or its status; empty while there is none.
        what: The condition in words.
        holds: The condition.
        patience_seconds: How long to wait at most.
    """
    last: dict[str, Any] = {}

    def seen() -> bool:
        nonlocal last
        last = read()
        return bool(holds(last))

    try:
        wait_until(seen, what, patience_seconds=patience_seconds)
    except Exception as error:
        status = last.get("status", last)
        raise AssertionError(f"{error}; the status is {json.dumps(status, indent=1)}") from error
    return last
