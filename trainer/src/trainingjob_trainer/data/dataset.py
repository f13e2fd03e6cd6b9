"""Data that the stages of a run pass to each other: loaded telemetry, a prepared dataset, a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.data.arrays import Instants


@dataclass(frozen=True)
class UnreadableColumn:
    """A column that the model would use if it were numeric.

    Attributes:
        type_name: Its type in the database; for a domain, the base type.
        values: Number of the machine's rows with a value in it.
    """

    type_name: str
    values: int


@dataclass(frozen=True)
class Telemetry:
    """The rows of one machine as loaded from the database, before cleaning.

    Attributes:
        machine: Name of the machine.
        timestamps: ``datetime64[us]`` in UTC, shape (rows,), ascending. Of rows with equal timestamps the last one is
            kept: the server sorts by timestamp, then number of values, then id.
        values: float32, one column for each telemetry column read; NULL is NaN.
        fingerprint: Hex digest of the data above: equal fingerprints mean equal data.
        unreadable: Columns of the table that are not read because of their type, by name.
        counts: Number of ignored rows, by reason.
        warnings: Warnings about the table for the user, as complete sentences.
    """

    machine: str
    timestamps: Instants
    values: pd.DataFrame
    fingerprint: str
    unreadable: Mapping[str, UnreadableColumn] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    def before(self, end: np.datetime64) -> "Telemetry":
        """The rows before an instant; the fingerprint stays that of all rows."""
        rows = int(np.searchsorted(self.timestamps, end))
        return replace(self, timestamps=self.timestamps[:rows], values=self.values.iloc[:rows])


@dataclass(frozen=True)
class DataSummary:
    """Summary of the data and of their preparation, for the report, the metrics and the status.

    Attributes:
        rows_read: Rows loaded from the database.
        rows_used: Rows after cleaning.
        segments: Number of segments, which are rows without a gap.
        step_seconds: Median step of the training part.
        fingerprint: Fingerprint of the telemetry.
        start: First instant used, UTC.
        end: Last instant used, UTC.
        counts: Counts by name, such as ``duplicate timestamps`` or ``sentinels in Oil_P``.
        dropped_columns: The reason why a column is not used, by column.
        warnings: Warnings for the user, as complete sentences.
    """

    rows_read: int
    rows_used: int
    segments: int
    step_seconds: float
    fingerprint: str
    start: np.datetime64
    end: np.datetime64
    counts: Mapping[str, int] = field(default_factory=dict)
    dropped_columns: Mapping[str, str] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class HealthScore:
    """The health score as a linear function of its indicators, fitted on the training part.

    ``score = constant + sum(0.25 * (x - minimum) / (maximum - minimum))`` over ``ranges``.

    Attributes:
        ranges: Indicator to (minimum, maximum), in the units of the sensor.
        constant: Contribution of the indicators without a range. One that is Neutral, or constant in the training
            part, has the level 0.5 and contributes 0.125; a constant one with a fixed range contributes its level.
        neutral: The indicators that ``constant`` includes.
    """

    ranges: Mapping[str, tuple[float, float]]
    constant: float
    neutral: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Cleaned data of one machine, ready for training; all fitted values come from rows before ``test_start`` only.

    Attributes:
        machine: Name of the machine.
        frame: float32, one row per instant, the columns of ``features`` in their order, unscaled, then the target.
        timestamps: ``datetime64[us]`` in UTC, shape (rows,), strictly ascending.
        segments: int32, shape (rows,): number of the segment a row is in, ascending.
        test_start: Index of the first row of the test part.
        features: Names of the inputs, in order.
        running: bool, shape (rows,): whether the engine ran.
        summary: Summary of the data and of their preparation.
    """

    machine: str
    frame: pd.DataFrame
    timestamps: Instants
    segments: NDArray[np.int32]
    test_start: int
    features: tuple[str, ...]
    running: NDArray[np.bool_]
    summary: DataSummary


@dataclass(frozen=True)
class HealthDataset(Dataset):
    """A dataset with the target ``health_score``, NaN where an indicator is missing.

    Attributes:
        scaler: Fitted on the training rows of ``frame[features]`` as a DataFrame.
        health: The definition of the score.
        persistence_forecast: float32, shape (rows,), never missing: the score of each row with its inputs filled,
            which is the forecast of persistence for the next row.
    """

    scaler: MinMaxScaler
    health: HealthScore
    persistence_forecast: NDArray[np.float32]


@dataclass(frozen=True)
class FailureDataset(Dataset):
    """A dataset with the target ``failure_label``: 1 shortly before a failure, else 0.

    Attributes:
        usable: bool, shape (rows,): False for training rows whose label depends on the test part.
        events: bool, shape (rows,): the rows in which a failure happened.
    """

    usable: NDArray[np.bool_]
    events: NDArray[np.bool_]


@dataclass(frozen=True)
class ModelFile:
    """One file to publish.

    Attributes:
        role: Its name in the status: ``model``, ``scaler``, ``report``, ...
        suffix: Suffix of its object name, such as ``.h5``.
        content: The bytes of the file.
    """

    role: str
    suffix: str
    content: bytes


@dataclass(frozen=True)
class TrainedModel:
    """The result of one training.

    Attributes:
        files: Every file of the model; readers look for the roles ``model`` and ``scaler``.
        metrics: Strict JSON for the registry: the keys that readers expect and more; non-finite numbers are None.
        summary: One short line for the status column, such as ``skill 0.31``.
        report: Data for the report by name: arrays of predictions, curves, importances.
    """

    files: Sequence[ModelFile]
    metrics: Mapping[str, Any]
    summary: str
    report: Mapping[str, Any]
