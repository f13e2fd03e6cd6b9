"""The data of the report's figures: axes without gaps, coverage, ranges of axes, times as text."""

import numpy as np
import pytest

from trainingjob_trainer.report.facts import axis_without_gaps, covered_share, in_words, reach_of_errors

START = np.datetime64("2025-03-19T19:03:20", "us")
SECOND = np.timedelta64(1_000_000, "us")


def test_windows_are_drawn_side_by_side_and_the_line_breaks_at_gaps() -> None:
    axis = axis_without_gaps(np.array([60, 61, 62, 200, 300, 301]))
    assert axis.breaks.tolist() == [3, 4]
    assert np.diff(axis.positions).tolist() == [1, 1, 2, 2, 1]
    assert axis.cuts.tolist() == [3, 5]
    assert axis.alone.tolist() == [False, False, False, True, False, False]
    np.testing.assert_array_equal(axis.broken(np.arange(6.0)), [0, 1, 2, np.nan, 3, np.nan, 4, 5])


@pytest.mark.parametrize("gaps", [0, 1, 7, 299])
def test_gaps_use_a_small_part_of_the_axis_unless_windows_are_isolated(gaps: int) -> None:
    rows = np.arange(300) + np.cumsum(np.isin(np.arange(300), np.linspace(1, 299, gaps).astype(int)) * 100)
    axis = axis_without_gaps(rows)
    assert len(axis.cuts) == gaps
    assert axis.positions[-1] <= max(299 * 1.11, 299 + gaps)


@pytest.mark.parametrize("rows", [3, 50, 200, 5000])
def test_a_series_without_a_gap_is_covered_everywhere(rows: int) -> None:
    edges, share = covered_share(START + np.arange(rows) * 10 * SECOND, np.zeros(rows, np.int32), 10.0, 120)
    np.testing.assert_allclose(share, 1.0)
    assert (edges[0], edges[-1]) == (START, START + rows * 10 * SECOND)


def test_the_share_of_a_bin_is_the_time_with_data_in_it() -> None:
    seconds = np.array([0, 1, 2, 3, 10, 11, 18, 19])
    segments = np.array([0, 0, 0, 0, 1, 1, 2, 2], np.int32)
    _, share = covered_share(START + seconds * SECOND, segments, 1.0, 5)
    np.testing.assert_allclose(share, [1, 0, 0.5, 0, 0.5])


def test_segments_closer_than_a_step_are_not_counted_twice() -> None:
    _, share = covered_share(START + np.array([0, 10, 15, 25]) * SECOND, np.array([0, 0, 1, 1], np.int32), 10.0, 7)
    np.testing.assert_allclose(share, 1.0)


@pytest.mark.parametrize(
    ("errors", "reach"),
    [([0.1, -0.2, 0.3], 0.3), ([0.0], 1e-9), ([*[0.01] * 999, 1.5], 0.01), ([*[0.01] * 999, 0.019], 0.019)],
)
def test_the_axis_of_errors_excludes_only_extreme_values(errors: list[float], reach: float) -> None:
    assert reach_of_errors(np.array(errors), np.array([0.0])) == pytest.approx(reach)


@pytest.mark.parametrize(
    ("days", "words"), [(0.001, "19:03:20"), (1, "19 Mar 19:03"), (60, "19 Mar"), (700, "19 Mar 2025")]
)
def test_the_precision_of_a_time_label_follows_the_axis(days: float, words: str) -> None:
    assert in_words(START, np.timedelta64(int(days * 86400), "s")) == words
