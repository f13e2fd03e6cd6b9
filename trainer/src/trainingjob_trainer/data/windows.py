"""Windows over prepared telemetry: one scaled array in memory, and copies of the requested windows only."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.errors import TrainingError


@dataclass(frozen=True)
class Windows:
    """The windows of one part: window i is rows ``starts[i] .. starts[i] + length - 1``, its target the row after it.

    Attributes:
        inputs: float32, shape (rows, features), scaled: the rows of every part, shared and C-contiguous.
        targets: float32, shape (rows,): the health score of each row, NaN where an indicator is missing.
        persistence_forecast: float32, shape (rows,): the score of each row with its inputs filled.
        length: Rows in a window.
        starts: int64, shape (windows,), ascending: first row of each window. Only windows with a target are listed.
        runs: int64, shape (runs, 2): the stretches (start, stop) of consecutive rows of this part, stop excluded; no
            run crosses a gap or the start of a part. A run may be too short for a window, and a row in it may have no
            target.
    """

    inputs: NDArray[np.float32]
    targets: NDArray[np.float32]
    persistence_forecast: NDArray[np.float32]
    length: int
    starts: NDArray[np.int64]
    runs: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def target_rows(self) -> NDArray[np.int64]:
        """Row of each window's target, int64, shape (windows,)."""
        return self.starts + self.length

    @property
    def target(self) -> NDArray[np.float32]:
        """The score to predict for each window, float32, shape (windows,)."""
        return self.targets[self.target_rows]

    @property
    def last_score(self) -> NDArray[np.float32]:
        """The score of each window's last row, float32, shape (windows,): the prediction of persistence."""
        return self.persistence_forecast[self.target_rows - 1]

    def gather(self, which: NDArray[np.integer] | slice) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Copy the chosen windows out of the shared array.

        Args:
            which: Positions in ``starts``, or a slice of them.

        Returns:
            Inputs of shape (k, length, features) and targets of shape (k,), both float32.
        """
        starts = self.starts[which]
        rows, features = self.inputs.shape
        row_bytes, item_bytes = self.inputs.strides
        flat = as_strided(
            self.inputs,
            shape=(max(rows - self.length + 1, 0), self.length * features),
            strides=(row_bytes, item_bytes),
            writeable=False,
        )
        return flat[starts].reshape(len(starts), self.length, features), self.targets[starts + self.length]


@dataclass(frozen=True)
class Sequences:
    """The windows of the three parts, in time order: training, validation (the tail of the training part), test.

    Attributes:
        training: Windows to train on.
        validation: Windows for early stopping.
        test: Windows for the evaluation.
        dropped: Number of windows that are not used because the row to predict lacks a health indicator.
    """

    training: Windows
    validation: Windows
    test: Windows
    dropped: int


def create_sequences(dataset: HealthDataset, sequence_length: int, validation_fraction: float) -> Sequences:
    """Cut a dataset into windows that predict the health score of the row right after each.

    No window, its target included, crosses the start of the test part, that of the validation part, or a gap. A
    stretch of n consecutive rows of one part gives n - sequence_length windows.

    Args:
        dataset: The data.
        sequence_length: Rows in a window.
        validation_fraction: Fraction of the training part's rows, at its end, that is used for validation.

    Returns:
        The windows of the three parts, over one scaled array.

    Raises:
        TrainingError: InsufficientData when a part has no window.
    """
    edges = (0, validation_start(dataset, validation_fraction), dataset.test_start, len(dataset.frame))
    parts, dropped = _parts(dataset, sequence_length, edges)
    training, validation, test = parts
    _refuse_empty_parts(dataset, sequence_length, {"training": training, "validation": validation, "test": test})
    return Sequences(training, validation, test, dropped)


def validation_start(dataset: HealthDataset, validation_fraction: float) -> int:
    """Index of the first row of the validation part, which ends where the test part starts."""
    return int(dataset.test_start * (1 - validation_fraction) + 1e-9)


def all_windows(dataset: HealthDataset, sequence_length: int) -> Windows:
    """The windows of all rows of a dataset.

    Raises:
        TrainingError: InsufficientData when there is none.
    """
    (windows,), _ = _parts(dataset, sequence_length, (0, len(dataset.frame)))
    _refuse_empty_parts(dataset, sequence_length, {"training": windows})
    return windows


def _parts(dataset: HealthDataset, length: int, edges: Sequence[int]) -> tuple[list[Windows], int]:
    """The windows between each two edges, and the number of those without a target."""
    inputs = scaled(dataset.frame, dataset.features, dataset.scaler.scale_, dataset.scaler.min_)
    targets = np.ascontiguousarray(dataset.frame["health_score"].to_numpy(np.float32))
    parts = []
    dropped = 0
    for start, stop in pairwise(edges):
        runs = consecutive_runs(dataset.segments, start, stop)
        starts = _starts(runs, length)
        has_target = np.isfinite(targets[starts + length])
        dropped += int(np.count_nonzero(~has_target))
        parts.append(Windows(inputs, targets, dataset.persistence_forecast, length, starts[has_target], runs))
    return parts, dropped


def consecutive_runs(segments: NDArray[np.int32], start: int, stop: int) -> NDArray[np.int64]:
    """The stretches of rows ``start .. stop - 1`` within which the segment stays the same.

    Returns:
        int64, shape (runs, 2): first row and the row after the last of each stretch.
    """
    if stop <= start:
        return np.empty((0, 2), np.int64)
    cuts = start + 1 + np.flatnonzero(np.diff(segments[start:stop]))
    edges = np.concatenate(([start], cuts, [stop])).astype(np.int64)
    return np.column_stack((edges[:-1], edges[1:]))


def _starts(runs: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    return np.concatenate(
        [np.empty(0, np.int64), *(np.arange(start, stop - length, dtype=np.int64) for start, stop in runs)]
    )


def scaled(
    frame: pd.DataFrame, features: Sequence[str], scale: Sequence[float], offset: Sequence[float]
) -> NDArray[np.float32]:
    """The features as ``scale * value + offset``, computed in float64; shape (rows, features), C-contiguous."""
    inputs = np.empty((len(frame), len(features)), np.float32)
    for index, name in enumerate(features):
        inputs[:, index] = frame[name].to_numpy(np.float64) * scale[index] + offset[index]
    return inputs


def _refuse_empty_parts(dataset: HealthDataset, length: int, parts: dict[str, Windows]) -> None:
    for name, windows in parts.items():
        if len(windows):
            continue
        longest = max((int(stop - start) for start, stop in windows.runs), default=0)
        rows = int(sum(stop - start for start, stop in windows.runs))
        lacking = " and every target row in it lacks a health indicator" if longest > length else ""
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {dataset.machine}: the {name} part has no window: it has {rows} rows in {len(windows.runs)} "
            f"stretches without a gap, the longest of {longest}{lacking}; {length + 1} consecutive rows are needed "
            f"(sequenceLength {length} and the row to predict). Choose a longer period, lower sequenceLength, "
            "or raise maxGapSeconds.",
        )
