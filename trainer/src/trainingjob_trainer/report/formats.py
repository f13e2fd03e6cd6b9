"""Numbers, durations and instants as text for readers."""

from typing import Any

import numpy as np

_DURATIONS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def number(value: Any) -> str:
    """A number with four significant digits; whole numbers in full."""
    if value is None:
        return "not defined"
    if isinstance(value, float) and abs(value) >= 1000:
        return f"{value:,.0f}"
    if isinstance(value, float) and (abs(value) >= 1e-6 or value == 0):
        return np.format_float_positional(value, precision=4, fractional=False, trim="-")
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def duration(seconds: float) -> str:
    """A duration in the largest unit of which it has at least two."""
    unit, length = next((unit for unit in _DURATIONS if seconds >= 2 * unit[1]), _DURATIONS[-1])
    return f"{number(float(f'{seconds / length:.3g}'))} {unit}"


def instant(value: np.datetime64) -> str:
    """An instant in UTC, to the minute."""
    return np.datetime_as_string(value, "m").replace("T", " ") + " UTC"
