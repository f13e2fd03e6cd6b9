"""A command that gets a signal stops what it has started before it ends."""

import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Makes SIGINT and SIGTERM raise SystemExit. Further signals are ignored while the process ends.

    Must be called from the main thread.
    """
    for each in _SIGNALS:
        signal.signal(each, _end)


def _end(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
