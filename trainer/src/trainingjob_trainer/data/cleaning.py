"""Cleaning of telemetry: false readings become missing, one row remains of each instant, gaps cut segments."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Data
from trainingjob_trainer.data.columns import differs_from_previous_row, is_derived
from trainingjob_trainer.data.dataset import Telemetry
from trainingjob_trainer.data.false_readings import false_readings, readings_beside_sentinels
from trainingjob_trainer.errors import TrainingError

GAP_IN_MEDIAN_STEPS = 10


@dataclass(frozen=True)
class Cleaned:
    """Telemetry after cleaning.

    Attributes:
        timestamps: ``datetime64[us]``, strictly ascending, shape (rows,).
        values: float32, finite or NaN, the columns under their final names.
        segments: int32, ascending, shape (rows,): number of the stretch without a gap that a row is in.
        first_of_segment: bool, shape (rows,).
        after_false_reading: bool, shape (rows,): a raw sensor of this row or of the one before had a false reading.
        kept: int64, shape (rows,): position of each row in the telemetry.
        test_start: Index of the first row of the test part.
        step_seconds: Median step of the training part.
        counts: Counts by name, such as ``duplicate timestamps``.
        warnings: Warnings for the user, as complete sentences.
    """

    timestamps: NDArray[np.datetime64]
    values: pd.DataFrame
    segments: NDArray[np.int32]
    first_of_segment: NDArray[np.bool_]
    after_false_reading: NDArray[np.bool_]
    kept: NDArray[np.int64]
    test_start: int
    step_seconds: float
    counts: Mapping[str, int]
    warnings: Sequence[str]


def clean(telemetry: Telemetry, data: Data) -> Cleaned:
    """Clean the telemetry of one machine.

    Args:
        telemetry: The loaded telemetry, with columns already renamed by ``data.columns``.
        data: Limits, longest gap, fraction of the test part.

    Raises:
        TrainingError: InvalidConfiguration when limits name a derived column; InsufficientData below ``min_rows``.
    """
    counts: Counter[str] = Counter()
    derived_limits = [name for name in data.limits if is_derived(name)]
    if derived_limits:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"limits: {', '.join(derived_limits)} is computed from other columns; limits are for raw sensors.",
        )
    kept, instant_of_row = _last_of_each_instant(telemetry.timestamps)
    counts["duplicate timestamps"] = len(instant_of_row) - len(kept)
    _refuse_few_rows(telemetry, len(kept), data.min_rows)
    timestamps = telemetry.timestamps[kept]
    test_start = int(len(kept) * (1 - data.test_fraction) + 1e-9)
    segments, step_seconds = _segments(timestamps, test_start, data.max_gap_seconds)
    first = np.concatenate(([True], segments[1:] != segments[:-1]))

    columns = {str(name): telemetry.values[name].to_numpy(np.float32) for name in telemetry.values.columns}
    false_in_row = np.zeros(len(instant_of_row), np.bool_)
    false: dict[str, NDArray[np.bool_]] = {}
    cleaned: dict[str, NDArray[np.float32]] = {}
    for name, column in columns.items():
        if is_derived(name):
            continue
        cleaned[name] = column[kept]
        false_in_column = false_readings(name, column, data.limits.get(name))
        if false_in_column.any():
            counts[f"false readings in {name}"] = int(np.count_nonzero(false_in_column))
            false_in_row |= false_in_column
            false[name] = false_in_column[kept]
    repeated = readings_beside_sentinels(cleaned, false, test_start)
    for column in cleaned.values():
        column[~np.isfinite(column)] = np.nan
    for name, where in (*false.items(), *repeated.items()):
        cleaned[name][where] = np.nan
    for name, where in repeated.items():
        counts[f"sentinels of other sensors in {name}"] = int(np.count_nonzero(where))
    # A false reading in a dropped duplicate row may still have affected the differences in the next row.
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
        test_start=test_start,
        step_seconds=step_seconds,
        counts={name: number for name, number in counts.items() if number},
        warnings=_warnings(repeated),
    )


def _warnings(repeated: Mapping[str, NDArray[np.bool_]]) -> list[str]:
    if not repeated:
        return []
    rows = np.count_nonzero(np.any(list(repeated.values()), axis=0))
    columns = ", ".join(f"{name} ({np.count_nonzero(where)})" for name, where in repeated.items())
    return [
        f"In {rows} rows at least two sensors have the same sentinel for a missing value. The same number in "
        f"{columns}, far from all other readings of that sensor, is treated as missing too."
    ]


def _last_of_each_instant(timestamps: NDArray[np.datetime64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows to keep, and for every row the index of its timestamp among them."""
    new_instant = np.diff(timestamps) != np.timedelta64(0, "us")
    instant_of_row = np.concatenate(([0], np.cumsum(new_instant, dtype=np.int64)))[: len(timestamps)]
    kept = np.flatnonzero(np.concatenate((new_instant, [True])))[: len(timestamps)]
    return kept, instant_of_row


def _segments(
    timestamps: NDArray[np.datetime64], test_start: int, max_gap_seconds: float | None
) -> tuple[NDArray[np.int32], float]:
    steps = np.diff(timestamps).astype("timedelta64[us]").astype(np.int64) / 1e6
    step_seconds = float(np.median(steps[: max(test_start - 1, 1)]))
    longest = max_gap_seconds if max_gap_seconds is not None else GAP_IN_MEDIAN_STEPS * step_seconds
    segments = np.zeros(len(timestamps), np.int32)
    np.cumsum(steps > longest, dtype=np.int32, out=segments[1:])
    return segments, step_seconds


def _refuse_few_rows(telemetry: Telemetry, rows: int, needed: int) -> None:
    # Two training rows and one test row are the minimum to compute a step and a test start.
    if rows >= max(needed, 3):
        return
    read = len(telemetry.timestamps)
    raise TrainingError(
        Reason.INSUFFICIENT_DATA,
        f"machine {telemetry.machine}: {rows} rows were found ({read} read, {read - rows} of them with a repeated "
        f"timestamp), {max(needed, 3)} are needed. Choose a longer period, or lower minRows if this is intended.",
    )
