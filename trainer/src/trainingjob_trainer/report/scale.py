"""Scales of the plots: the range of an axis and its ticks at round numbers."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from trainingjob_trainer.data.arrays import Floats

_MARGIN = 0.04
_MOST_TICKS = 6
_MOST_DECIMALS = 6


@dataclass(frozen=True)
class Scale:
    """The range of an axis.

    Attributes:
        low: Value at the beginning of the axis.
        high: Value at its end.
        ticks: Text of each value that is marked.
        label: What the axis shows.
        logarithmic: Whether equal distances are equal ratios; values below ``low`` then stand at ``low``.
    """

    low: float
    high: float
    ticks: Mapping[float, str]
    label: str = ""
    logarithmic: bool = False

    def __post_init__(self) -> None:
        """Refuse a range that cannot be drawn.

        Raises:
            ValueError: A limit is not finite, or the range is empty.
        """
        if not -math.inf < self.low < self.high < math.inf:
            raise ValueError(f"an axis cannot reach from {self.low} to {self.high}")

    def position(self, values: Iterable[float]) -> Floats:
        """Where values stand on the axis, from 0 to 1."""
        numbers = np.fromiter(values, np.float64)
        if self.logarithmic:
            return np.log(np.maximum(numbers, self.low) / self.low) / math.log(self.high / self.low)
        return (numbers - self.low) / (self.high - self.low)


def around(values: Floats) -> tuple[float, float]:
    """The range of values with a margin; NaN is ignored."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = _MARGIN * (high - low) or abs(high) / 2 or 1.0
    return low - margin, high + margin


def linear(low: float, high: float, label: str = "", *, whole: bool = False) -> Scale:
    """A scale with ticks at multiples of 1, 2 or 5 times a power of ten.

    Args:
        low: As in ``Scale``.
        high: As in ``Scale``.
        label: As in ``Scale``.
        whole: Whether all ticks are whole numbers.
    """
    scale = Scale(low, high, {}, label)
    step = _round_step((high - low) / _MOST_TICKS)
    step = max(step, 1.0) if whole else step
    values = np.arange(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1) * step
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    form = f",.{decimals}f" if decimals <= _MOST_DECIMALS else ".3g"
    return replace(scale, ticks={value: format(value, form) for value in values.tolist()})


def logarithmic(low: float, high: float, label: str = "") -> Scale:
    """A logarithmic scale with ticks at 1, 2 and 5 times powers of ten, or at fewer where those are too many."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2), ((1,), 4)):
        values = [factor * 10.0**power for power in powers[::every] for factor in factors]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) <= _MOST_TICKS:
            break
    return Scale(low, high, {value: _plain(value) for value in ticks}, label, logarithmic=True)


def _plain(value: float) -> str:
    """A number without an exponent."""
    return f"{value:,.0f}" if value >= 1 else np.format_float_positional(value, precision=12, trim="-")


def _round_step(at_least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is at least so large."""
    power: float = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= at_least * (1 - 1e-9))
