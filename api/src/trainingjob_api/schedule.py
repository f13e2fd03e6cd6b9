"""When the runs of a TrainingFleet are due: cron times in a time zone, computed by cronsim. Pure."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LONGEST_CLOCK_CHANGE = timedelta(hours=3)


def check_cron(text: str) -> str:
    """Refuse text that is not a cron expression of five fields, or that names no time.

    Raises:
        ValueError: It cannot be parsed; the message says which part.
    """
    if len(text.split()) != 5:
        raise ValueError("must have five fields: minute, hour, day of month, month, day of week")
    try:
        next(CronSim(text, datetime(2000, 1, 1)))
    except (CronSimError, StopIteration) as error:
        raise ValueError(f"is not a cron expression: {error or 'it names no time'}") from error
    return text


def check_time_zone(name: str) -> str:
    """Refuse a name that is not in the IANA time zone database.

    Raises:
        ValueError: There is no such time zone.
    """
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError) as error:
        raise ValueError("must be the name of an IANA time zone, such as America/Sao_Paulo") from error
    return name


def next_time(cron: str, time_zone: str, after: datetime) -> datetime:
    """The first scheduled minute after an instant, in UTC.

    A time that the clocks repeat is scheduled once, when it comes first. A time that they skip is scheduled at the next
    valid minute. That holds for every expression, so the clock without its time zone is handed to cronsim: with a time
    zone, it repeats and skips expressions with ``*`` in minute or hour as Debian's cron does, and in a repeated hour it
    finds a time before ``after``.

    Args:
        cron: Five fields; checked.
        time_zone: IANA name; checked.
        after: With a time zone.
    """
    zone = ZoneInfo(time_zone)
    clock = after.astimezone(zone).replace(tzinfo=None, fold=0)
    return next(moment for time in CronSim(cron, clock) if (moment := _instant(time, zone)) > after)


def last_time(cron: str, time_zone: str, until: datetime) -> datetime:
    """The last scheduled minute that is not after an instant, in UTC; see ``next_time``."""
    zone = ZoneInfo(time_zone)
    clock = until.astimezone(zone).replace(tzinfo=None, fold=0) + LONGEST_CLOCK_CHANGE
    return next(moment for time in CronSim(cron, clock, reverse=True) if (moment := _instant(time, zone)) <= until)


def _instant(time: datetime, zone: ZoneInfo) -> datetime:
    """The first instant at which the clocks of the zone show this time, or the first after it if they skip it."""
    while (moment := time.replace(tzinfo=zone).astimezone(UTC)).astimezone(zone).replace(tzinfo=None) != time:
        time += timedelta(minutes=1)
    return moment
