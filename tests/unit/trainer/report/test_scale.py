"""Scales of the plots: round ticks inside the range."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainingjob_trainer.report.scale import around, linear, logarithmic

POSITIVE = st.floats(1e-9, 1e9)


def texts(low: float, high: float, *, whole: bool = False) -> list[str]:
    return list(linear(low, high, whole=whole).ticks.values())


@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e6))
def test_linear_ticks_lie_evenly_within_the_range(low: float, length: float) -> None:
    scale = linear(low, low + length)
    values = list(scale.ticks)
    slack = 1e-6 * (scale.high - scale.low)
    assert all(scale.low - slack <= value <= scale.high + slack for value in values)
    assert 1 <= len(values) <= 7
    assert np.allclose(np.diff(values, n=2), 0, atol=slack)


@given(POSITIVE, st.floats(10, 1e6))
def test_logarithmic_ticks_lie_within_the_range(low: float, ratio: float) -> None:
    ticks = logarithmic(low, low * ratio).ticks
    assert 1 <= len(ticks) <= 6
    assert all(low <= value <= low * ratio for value in ticks)
    assert not any("e" in text for text in ticks.values())
    assert len(set(ticks.values())) == len(ticks)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1.02, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
        (0.37, 0.43, ["0.37", "0.38", "0.39", "0.40", "0.41", "0.42", "0.43"]),
        (-20_000, 12_000, ["-20,000", "-10,000", "0", "10,000"]),
        (-1e-9, 1e-9, ["-1e-09", "-5e-10", "0", "5e-10", "1e-09"]),
    ],
)
def test_ticks_have_the_decimals_of_their_step(low: float, high: float, expected: list[str]) -> None:
    assert texts(low, high) == expected


def test_ticks_of_counts_are_whole_numbers() -> None:
    assert texts(0, 2.1, whole=True) == ["0", "1", "2"]
    assert texts(0.5, 100.5, whole=True) == ["20", "40", "60", "80", "100"]


def test_positions_are_even_by_difference_or_by_ratio() -> None:
    assert linear(0, 10).position(np.array([0.0, 5, 10])) == pytest.approx([0, 0.5, 1])
    assert logarithmic(1, 100).position(np.array([0.0, 1, 10, 100])) == pytest.approx([0, 0, 0.5, 1])


@pytest.mark.parametrize("value", [0.0, 0.4, -7.0])
def test_a_constant_has_a_range_around_it(value: float) -> None:
    low, high = around(np.array([value, np.nan]))
    assert low < value < high


@pytest.mark.parametrize("limits", [(0.0, math.inf), (math.nan, 1.0), (1.0, 1.0)])
def test_limits_that_cannot_be_drawn_are_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="axis"):
        linear(*limits)
