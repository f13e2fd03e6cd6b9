"""Detects false readings: numbers that a raw sensor stores instead of a missing value."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trainingjob_api.values import Limits
from trainingjob_trainer.data.arrays import Floats

Bools = NDArray[np.bool_]

_LARGEST_PLAUSIBLE_READING = 20_000.0
_MINUS_ONE_IS_NO_READING = frozenset({"Oil_P", "Oil_L", "Fuel_L", "Eng_RPM", "Bat_V", "Char_V"})
_TEMPERATURES = frozenset({"Cool_T", "Oil_T", "Fuel_T", "Intake", "Exaust"})
_ABSOLUTE_ZERO = (-273.21, -273.09)

_SENTINELS = (-1.0, -273.1, -273.15, -273.2, 65_535.0, 2_147_483_647.0)
"""Numbers that controllers store for a missing value. As float32, the last one equals all from 2147483584 on."""
_SENSORS_AT_SENTINEL = 2
_ROBUST_RANGE_PERCENT = (0.1, 99.9)
_SHARE_OF_EXCEPTIONS = 0.05


def plausible_range(limits: Limits | None) -> tuple[float, float]:
    """The lowest and the highest plausible reading; without a limit they are -20000 and 20000."""
    lowest = limits.min if limits and limits.min is not None else -_LARGEST_PLAUSIBLE_READING
    highest = limits.max if limits and limits.max is not None else _LARGEST_PLAUSIBLE_READING
    return lowest, highest


def beyond_limits(values: Floats, limits: Limits | None) -> Bools:
    """Mask of the readings of a raw sensor that are outside its plausible range."""
    lowest, highest = plausible_range(limits)
    # In float32 like the readings; a float64 limit of 0.3 would exclude a reading of 0.3.
    beyond: Bools = (values < np.float32(lowest)) | (values > np.float32(highest))
    return beyond


def false_readings(name: str, values: Floats, limits: Limits | None = None) -> Bools:
    """Mask of the readings of a raw sensor that are implausible or a sentinel for a missing value.

    Args:
        name: The sensor; -1 and temperatures of absolute zero are false only for some sensors.
        values: Its readings, shape (rows,).
        limits: The plausible range.
    """
    false = beyond_limits(values, limits)
    if name in _MINUS_ONE_IS_NO_READING:
        false |= values == -1
    if name in _TEMPERATURES:
        low, high = _ABSOLUTE_ZERO
        false |= (values > low) & (values < high)
    return false


def implausible_readings(values: Floats, limits: Limits | None = None) -> Bools:
    """Mask of the readings that are outside the limits and not a sentinel for a missing value."""
    return beyond_limits(values, limits) & ~np.isin(values, np.array(_SENTINELS, np.float32))


def readings_beside_sentinels(
    values: Mapping[str, Floats], false: Mapping[str, Bools], test_start: int
) -> Mapping[str, Bools]:
    """Mask of readings that equal a sentinel of other sensors in the same row, but are plausible on their own.

    A row is suspect when at least two sensors hold the same sentinel as a false reading. In a suspect row, that number
    is false in another sensor too if the training part says that the sensor does not measure it: it lies an
    interquartile range or more outside the range of its other readings (all but the lowest and the highest
    thousandth), no other row holds it, and suspect rows hold no other reading nearer to it than to the quartiles. One
    exception in twenty of its repetitions is allowed.

    Args:
        values: Readings by raw sensor, each of shape (rows,).
        false: Mask of the readings that are false on their own, each of shape (rows,); sensors without any may be
            omitted.
        test_start: Number of rows of the training part; only these rows determine what a sensor measures.

    Returns:
        Only the sensors that have such readings, each of shape (rows,).
    """
    found: dict[str, Bools] = {}
    for sentinel in map(np.float32, _SENTINELS):
        holders = sum((where & (values[name] == sentinel) for name, where in false.items()), np.zeros(1, np.int16))
        suspect = holders >= _SENSORS_AT_SENTINEL
        if not suspect.any():
            continue
        for name, readings in values.items():
            possible = ~false[name] if name in false else np.ones(len(readings), np.bool_)
            repeated = suspect & (readings == sentinel) & possible
            known = possible[:test_start] & np.isfinite(readings[:test_start])
            if repeated.any() and not _measures(sentinel, readings[:test_start][known], suspect[:test_start][known]):
                found[name] = found[name] | repeated if name in found else repeated
    return found


def _measures(sentinel: np.float32, readings: Floats, suspect: Bools) -> bool:
    """Whether a sensor's readings of the training part suggest that it can measure the number of a sentinel."""
    repeats = readings == sentinel
    if repeats.all():
        return True
    lowest, highest = np.percentile(readings[~repeats], _ROBUST_RANGE_PERCENT)
    lower, upper = np.percentile(readings, (25, 75))
    distance = max(lowest - sentinel, sentinel - highest)
    if distance <= 0 or distance < upper - lower:
        return True
    usual = lower if sentinel < lowest else upper
    near = np.abs(readings - sentinel) < np.abs(readings - usual)
    exceptions = np.count_nonzero(repeats & ~suspect) + np.count_nonzero(near & ~repeats & suspect)
    return bool(exceptions > _SHARE_OF_EXCEPTIONS * np.count_nonzero(repeats & suspect))
