"""A command that is told to end puts away what it has running first."""

import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Lets SIGINT and SIGTERM end this process by SystemExit; while it ends, further ones change nothing.

    Must be called from the main thread.
    """
    for each in _SIGNALS:
        signal.signal(each, _end)


def _end(number: int, _: FrameType | None) -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)
