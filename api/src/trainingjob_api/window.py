"""Resolves the time window of the data from dates or lookbackDays."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from trainingjob_api.values import is_date, parse_moment


def resolve_window(spec: Mapping[str, Any], now: datetime) -> tuple[datetime | None, datetime]:
    """Resolve the window of the data when the run is accepted.

    An end date is included, an end instant is excluded; lookbackDays are the last whole UTC days before ``now``.
    The end is never later than ``now``, so that new telemetry does not change the data of later attempts.

    Args:
        spec: The JSON of a spec, with or without its defaults.
        now: The time of acceptance, with a time zone.

    Returns:
        Start (None for the first row) and end (excluded).
    """
    data = spec.get("data") or {}
    now = now.astimezone(UTC).replace(microsecond=0)
    if days := data.get("lookbackDays"):
        midnight = now.replace(hour=0, minute=0, second=0)
        return midnight - timedelta(days=days), midnight
    first, last = data.get("startDate"), data.get("endDate")
    end = parse_moment(last) + timedelta(days=is_date(last)) if last else now
    return parse_moment(first) if first else None, min(end, now)
