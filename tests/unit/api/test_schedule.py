"""Times of a schedule over every minute of a year in three time zones, held against a count of all its minutes."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from numpy.typing import NDArray

from trainingjob_api.schedule import check_cron, check_time_zone, last_time, next_time
from trainingjob_api.values import TIME_ZONE

MINUTE = timedelta(minutes=1)
# Clocks change in the night, at midnight, and by half an hour.
YEARS = {"Europe/Berlin": 2027, "America/Sao_Paulo": 2018, "Australia/Lord_Howe": 2027}


class Year(NamedTuple):
    """Each minute that the clocks of a zone can show in a year, and the instants of the same year, in minutes."""

    clock: NDArray[np.datetime64]
    instants: NDArray[np.datetime64]


@lru_cache
def year_of(zone: str) -> Year:
    """The instant of a minute is the first at which the clocks show it, or a later one if they skip it."""
    start = datetime(YEARS[zone], 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    end = datetime(YEARS[zone] + 1, 1, 1, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    instants = np.arange(start.replace(tzinfo=None), end.replace(tzinfo=None), MINUTE).astype("datetime64[m]")
    shown = [moment.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in instants.tolist()]
    latest = np.maximum.accumulate(np.array(shown, "datetime64[m]"))
    clock = np.arange(latest[0], latest[-1] + 1)
    return Year(clock, instants[np.searchsorted(latest, clock)])


class Cron(NamedTuple):
    """A cron expression of plain lists; None is every value."""

    minutes: frozenset[int] | None
    hours: frozenset[int] | None
    days: frozenset[int] | None
    weekdays: frozenset[int] | None

    def text(self) -> str:
        minute, hour, day, weekday = (
            ",".join(map(str, sorted(values))) if values is not None else "*" for values in self
        )
        return f"{minute} {hour} {day} * {weekday}"

    def times(self, year: Year) -> NDArray[np.datetime64]:
        """The instants of all scheduled minutes."""
        days = year.clock.astype("datetime64[D]")
        minutes = (year.clock - days).astype(int)
        fields = (
            (self.minutes, minutes % 60),
            (self.hours, minutes // 60),
            (self.days, (days - days.astype("datetime64[M]")).astype(int) + 1),
            (self.weekdays, (days.astype(int) + 4) % 7),
        )
        minute, hour, day, weekday = (
            np.isin(found, list(wanted)) if wanted is not None else np.ones(len(found), bool)
            for wanted, found in fields
        )
        # As in cron: if both are limited, one of them is enough.
        date = day | weekday if self.days is not None and self.weekdays is not None else day & weekday
        return np.unique(year.instants[minute & hour & date])


def some(least: int, most: int) -> SearchStrategy[frozenset[int] | None]:
    return st.none() | st.frozensets(st.integers(least, most), min_size=1, max_size=4)


crons = st.builds(Cron, some(0, 59), some(0, 3) | some(0, 23), some(1, 31), some(0, 6))


def moment_of(time: np.datetime64) -> datetime:
    return datetime.fromisoformat(str(time)).replace(tzinfo=UTC)


@settings(deadline=None, max_examples=200)
@given(zone=st.sampled_from(sorted(YEARS)), cron=crons, data=st.data())
def test_the_next_and_the_last_time_are_those_of_a_count_of_all_minutes(
    zone: str, cron: Cron, data: st.DataObject
) -> None:
    year = year_of(zone)
    times = cron.times(year)
    changes = np.flatnonzero(np.diff(year.instants) != np.timedelta64(1, "m"))
    near_a_change = st.sampled_from(changes.tolist()).flatmap(lambda at: st.integers(at - 180, at + 180))
    index = data.draw(near_a_change | st.integers(0, len(year.instants) - 1))
    asked = moment_of(year.instants[index]) + timedelta(seconds=data.draw(st.sampled_from([0, 0.5, 59])))
    after = times[times > np.datetime64(asked.replace(tzinfo=None))]
    if len(after):
        assert next_time(cron.text(), zone, asked) == moment_of(after[0])
    before = times[times <= np.datetime64(asked.replace(tzinfo=None))]
    if len(before):
        assert last_time(cron.text(), zone, asked) == moment_of(before[-1])


@pytest.mark.parametrize("zone", YEARS)
@pytest.mark.parametrize(
    "cron",
    [
        Cron(frozenset({30}), frozenset({2}), None, None),
        Cron(frozenset({0}), frozenset({0}), None, None),
        Cron(frozenset({0, 30}), None, None, None),
        Cron(None, frozenset({2}), None, frozenset({0})),
    ],
    ids=Cron.text,
)
def test_a_year_has_the_scheduled_times_in_order_and_each_once(zone: str, cron: Cron) -> None:
    times = [moment_of(time) for time in cron.times(year_of(zone))]
    assert [next_time(cron.text(), zone, time) for time in times[:-1]] == times[1:]
    assert all(earlier < later for earlier, later in pairwise(times))


@pytest.mark.parametrize(
    ("zone", "cron", "after", "expected"),
    [
        # In the night to 2027-03-28, 02:00 is followed by 03:00.
        ("Europe/Berlin", "30 2 * * *", "2027-03-28T00:00:00", "2027-03-28T01:00:00"),
        ("Europe/Berlin", "*/20 2 * * *", "2027-03-28T00:00:00", "2027-03-28T01:00:00"),
        ("Europe/Berlin", "*/20 2 * * *", "2027-03-28T01:00:00", "2027-03-29T00:00:00"),
        # On 2027-10-31, the hour from 02:00 comes twice.
        ("Europe/Berlin", "30 2 * * *", "2027-10-30T12:00:00", "2027-10-31T00:30:00"),
        ("Europe/Berlin", "30 2 * * *", "2027-10-31T00:30:00", "2027-11-01T01:30:00"),
        ("Europe/Berlin", "30 2 * * *", "2027-10-31T01:10:00", "2027-11-01T01:30:00"),
        # On 2018-11-04, midnight was skipped.
        ("America/Sao_Paulo", "0 0 * * 0", "2018-11-03T12:00:00", "2018-11-04T03:00:00"),
        ("Etc/UTC", "0 0 29 2 *", "2096-03-01T00:00:00", "2104-02-29T00:00:00"),
        ("Etc/UTC", "0 0 1 1 *", "2026-01-01T00:00:00", "2027-01-01T00:00:00"),
    ],
)
def test_a_time_that_the_clocks_skip_or_repeat(zone: str, cron: str, after: str, expected: str) -> None:
    asked = datetime.fromisoformat(after).replace(tzinfo=UTC)
    assert next_time(cron, zone, asked) == datetime.fromisoformat(expected).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("check", "text", "told"),
    [
        (check_cron, "30 2 * *", "five fields"),
        (check_cron, "0 30 2 * * 1", "five fields"),
        (check_cron, "60 2 * * 1", "Bad minute"),
        (check_cron, "30-10 2 * * 1", "Bad minute"),
        (check_cron, "0 0 31 2 *", "Bad day-of-month"),
        (check_cron, "0 0 30 2 *", "Bad day-of-month"),
        (check_cron, "a b c d e", "Bad minute"),
        (check_time_zone, "America/Saopaulo", "IANA time zone"),
        (check_time_zone, "America", "IANA time zone"),
        (check_time_zone, "../Etc/UTC", "IANA time zone"),
        (check_time_zone, "", "IANA time zone"),
    ],
)
def test_a_schedule_without_a_meaning_is_refused(check: Callable[[str], str], text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        check(text)


def test_every_time_zone_of_the_database_is_accepted() -> None:
    for name in available_timezones():
        assert check_time_zone(name) == name
        assert re.fullmatch(TIME_ZONE, name)
