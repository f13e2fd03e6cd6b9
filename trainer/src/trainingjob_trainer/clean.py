"""Cleaning of telemetry: false readings become missing, one row remains of each instant, gaps cut segments."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_trainer.columns import differs_from_previous_row, is_derived
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.prepared import Telemetry
from trainingjob_trainer.spec import Data
from trainingjob_trainer.spec_types import Limits

LARGEST_PLAUSIBLE_READING = 20_000.0
GAP_IN_MEDIAN_STEPS = 10
_MINUS_ONE_IS_NO_READING = frozenset({"Oil_P", "Oil_L", "Fuel_L", "Eng_RPM", "Bat_V", "Char_V"})
_TEMPERATURES = frozenset({"Cool_T", "Oil_T", "Fuel_T", "Intake", "Exaust"})
_ABSOLUTE_ZERO = (-273.21, -273.09)


@dataclass(frozen=True)
class Cleaned:
    """Telemetry after cleaning; ``border`` is where the test part begins.

    Attributes:
        timestamps: ``datetime64[us]``, strictly ascending, shape (rows,).
        values: float32, finite or NaN, the columns under their final names.
        segments: int32, ascending, shape (rows,): number of the stretch without a gap that a row is in.
        first_of_segment: bool, shape (rows,).
        after_false_reading: bool, shape (rows,): a raw sensor of this row or of the one before had a false reading.
        kept: int64, shape (rows,): position of each row in the telemetry.
        border: Index of the first row of the test part.
        step_seconds: Median step of the training part.
        counts: What was found, by name.
    """

    timestamps: NDArray[np.datetime64]
    values: pd.DataFrame
    segments: NDArray[np.int32]
    first_of_segment: NDArray[np.bool_]
    after_false_reading: NDArray[np.bool_]
    kept: NDArray[np.int64]
    border: int
    step_seconds: float
    counts: Mapping[str, int]


def clean(telemetry: Telemetry, data: Data) -> Cleaned:
    """Clean the telemetry of one machine.

    Args:
        telemetry: As loaded, columns already under the names that ``data.columns`` gives them.
        data: Limits, longest gap, share of the test part.

    Raises:
        TrainingError: InvalidConfiguration when limits name a derived column; InsufficientData below ``min_rows``.
    """
    counts: Counter[str] = Counter()
    derived_limits = [name for name in data.limits if is_derived(name)]
    if derived_limits:
        raise TrainingError(
            "InvalidConfiguration",
            f"limits: {', '.join(derived_limits)} is computed from other columns; limits are for raw sensors.",
        )
    kept, instant_of_row = _last_of_each_instant(telemetry.timestamps)
    counts["duplicate timestamps"] = len(instant_of_row) - len(kept)
    _refuse_few_rows(telemetry, len(kept), data.min_rows)
    timestamps = telemetry.timestamps[kept]
    border = int(len(kept) * (1 - data.test_fraction) + 1e-9)
    segments, step_seconds = _segments(timestamps, border, data.max_gap_seconds)
    first = np.concatenate(([True], segments[1:] != segments[:-1]))

    columns = {str(name): telemetry.values[name].to_numpy(np.float32) for name in telemetry.values.columns}
    false_in_row = np.zeros(len(instant_of_row), np.bool_)
    cleaned: dict[str, NDArray[np.float32]] = {}
    for name, column in columns.items():
        if is_derived(name):
            continue
        false = false_readings(name, column, data.limits.get(name))
        counts[f"false readings in {name}"] += int(np.count_nonzero(false))
        false_in_row |= false
        cleaned[name] = np.where(false | ~np.isfinite(column), np.float32(np.nan), column)[kept]
    # A false reading in a row that a duplicate replaced may still have entered the next row's differences.
    false_at = np.zeros(len(kept), np.bool_)
    false_at[instant_of_row[false_in_row]] = True
    tainted = false_at | np.concatenate(([False], false_at[:-1]))
    for name in [name for name in columns if is_derived(name)]:
        column = columns[name][kept]
        counts[f"infinite values in {name}"] += int(np.count_nonzero(np.isinf(column)))
        missing = tainted | ~np.isfinite(column)
        if differs_from_previous_row(name):
            missing |= first
        cleaned[name] = np.where(missing, np.float32(np.nan), column)
    counts["rows with a false reading"] = int(np.count_nonzero(false_in_row))
    return Cleaned(
        timestamps=timestamps,
        values=pd.DataFrame({name: cleaned[name] for name in columns}, copy=False),
        segments=segments,
        first_of_segment=first,
        after_false_reading=tainted,
        kept=kept,
        border=border,
        step_seconds=step_seconds,
        counts={name: number for name, number in counts.items() if number},
    )


def false_readings(name: str, values: NDArray[np.float32], limits: Limits | None = None) -> NDArray[np.bool_]:
    """Where a raw sensor says "no value" by a number that no such sensor can measure.

    Args:
        name: The sensor; -1 and temperatures of absolute zero are false only in some.
        values: Its readings, shape (rows,).
        limits: The plausible readings; an end that is None is 20000 away from zero.
    """
    lowest = limits.min if limits and limits.min is not None else -LARGEST_PLAUSIBLE_READING
    highest = limits.max if limits and limits.max is not None else LARGEST_PLAUSIBLE_READING
    # In float32 like the readings: 0.3 as limit would else exclude a reading of 0.3.
    false: NDArray[np.bool_] = (values < np.float32(lowest)) | (values > np.float32(highest))
    if name in _MINUS_ONE_IS_NO_READING:
        false |= values == -1
    if name in _TEMPERATURES:
        low, high = _ABSOLUTE_ZERO
        false |= (values > low) & (values < high)
    return false


def _last_of_each_instant(timestamps: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to keep, and for every row the position of its instant among them."""
    new_instant = np.diff(timestamps) != np.timedelta64(0, "us")
    instant_of_row = np.concatenate(([0], np.cumsum(new_instant, dtype=np.int64)))[: len(timestamps)]
    kept = np.flatnonzero(np.concatenate((new_instant, [True])))[: len(timestamps)]
    return kept, instant_of_row


def _segments(
    timestamps: NDArray[np.datetime64], border: int, max_gap_seconds: float | None
) -> tuple[NDArray[np.int32], float]:
    steps = np.diff(timestamps).astype("timedelta64[us]").astype(np.int64) / 1e6
    step_seconds = float(np.median(steps[: max(border - 1, 1)]))
    longest = max_gap_seconds if max_gap_seconds is not None else GAP_IN_MEDIAN_STEPS * step_seconds
    segments = np.zeros(len(timestamps), np.int32)
    np.cumsum(steps > longest, dtype=np.int32, out=segments[1:])
    return segments, step_seconds


def _refuse_few_rows(telemetry: Telemetry, rows: int, needed: int) -> None:
    # Two rows of training and one to test are the least for which a step and a border exist.
    if rows >= max(needed, 3):
        return
    read = len(telemetry.timestamps)
    raise TrainingError(
        "InsufficientData",
        f"machine {telemetry.machine}: {rows} rows were found ({read} read, {read - rows} of them repeat an instant), "
        f"{max(needed, 3)} are needed. Widen the period, or lower minRows if so few are meant.",
    )
