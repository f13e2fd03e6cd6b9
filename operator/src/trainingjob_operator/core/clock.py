"""How far this machine's clock is from the API server's. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

RESOLUTION = timedelta(seconds=1)
"""Of the header Date of an HTTP answer."""


def corrected_offset(offset: timedelta, date: str | None, sent: datetime, received: datetime) -> timedelta:
    """The smallest change of an offset that agrees with the time in an answer.

    Args:
        offset: What was added to this machine's clock so far.
        date: The header Date of the answer, None if there is none.
        sent: When the request was sent, by this machine's clock.
        received: When the answer was received, by this machine's clock.
    """
    if date is None:
        return offset
    try:
        server = parsedate_to_datetime(date)
    except ValueError:
        return offset
    if server.tzinfo is None:
        return offset
    return min(max(offset, server - received), server + RESOLUTION - sent)
