"""Runs the operator with a clock that differs from the machine's by the seconds in the only argument.

Only the time of day is shifted, as on a machine whose clock is wrong. Time that passes is the same everywhere.
"""

import datetime
import sys
import time
from typing import Any

_ERROR_SECONDS = int(sys.argv[1])
_time, _datetime = time.time, datetime.datetime


class _OtherDatetime(_datetime):
    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        return cls.fromtimestamp(time.time(), tz)


def _other_time() -> float:
    return _time() + _ERROR_SECONDS


# Before anything imports them by name.
time.time = _other_time
datetime.datetime = _OtherDatetime  # type: ignore[misc]

from trainingjob_operator.__main__ import main  # noqa: E402

main()
