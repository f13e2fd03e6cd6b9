"""The operator's time follows the Date of the API server's answers."""

from datetime import UTC, datetime, timedelta

import pytest

from trainingjob_operator.core.clock import corrected_offset

SENT = datetime(2026, 3, 1, 12, 0, 0, 400_000, UTC)
RECEIVED = SENT + timedelta(milliseconds=200)
NONE, HOUR = timedelta(0), timedelta(hours=1)


@pytest.mark.parametrize(
    "date",
    ["Sun, 01 Mar 2026 12:00:00 GMT", None, "yesterday", "", "Sun, 01 Mar 2026 12:00:00 -0000"],
)
def test_an_answer_that_agrees_or_has_no_time_changes_nothing(date: str | None) -> None:
    assert corrected_offset(NONE, date, SENT, RECEIVED) == NONE


@pytest.mark.parametrize(
    ("date", "hours"), [("Sun, 01 Mar 2026 13:00:00 GMT", 1), ("Sun, 01 Mar 2026 11:00:00 GMT", -1)]
)
def test_a_clock_that_is_an_hour_off_is_corrected_within_a_second(date: str, hours: int) -> None:
    offset = corrected_offset(NONE, date, SENT, RECEIVED)
    assert abs(offset - hours * HOUR) <= timedelta(seconds=1)
    assert corrected_offset(offset, date, SENT, RECEIVED) == offset


def test_a_clock_that_was_set_right_is_followed() -> None:
    offset = corrected_offset(HOUR, "Sun, 01 Mar 2026 12:00:00 GMT", SENT, RECEIVED)
    assert abs(offset) <= timedelta(seconds=1)
