"""The data that the steps of a run hand to each other: telemetry as loaded, prepared data, a trained model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.data.arrays import Instants


@dataclass(frozen=True)
class UnreadableColumn:
    """A column that the model would use, were it numeric.

    Attributes:
        type_name: Its type in the database, that below a domain.
        values: How many of the machine's rows have a value in it.
    """

    type_name: str
    values: int


@dataclass(frozen=True)
class Telemetry:
    """The rows of one machine as the database gave them, nothing cleaned yet.

    Attributes:
        machine: Name of the machine.
        timestamps: ``datetime64[us]`` in UTC, shape (rows,), ascending. Of rows of one instant the last one is the
            one to keep: the server sorts by instant, then number of values, then id.
        values: float32, one column for each telemetry column read; NULL is NaN.
        fingerprint: Hex digest of everything above: equal fingerprints mean equal data.
        unreadable: Columns of the table that are not read because of their type, by name.
        counts: Rows that were left out, by name of the reason.
        warnings: What the person should know of the table, in whole sentences.
    """

    machine: str
    timestamps: Instants
    values: pd.DataFrame
    fingerprint: str
    unreadable: Mapping[str, UnreadableColumn] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()


@dataclass(frozen=True)
class DataSummary:
    """What was found in the data and what was done to it; goes to the report, the metrics and the status.

    Attributes:
        rows_read: Rows that the database gave.
        rows_used: Rows left after cleaning.
        segments: Stretches without a gap.
        step_seconds: Median step of the training part.
        fingerprint: That of the telemetry.
        start: First instant used, UTC.
        end: Last instant used, UTC.
        counts: Everything counted on the way by name, such as ``duplicate timestamps`` or ``sentinels in Oil_P``.
        dropped_columns: Column to the reason why it is not used.
        warnings: What the person should know, in whole sentences.
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
        constant: Share of the indicators without a range: a Neutral one, or one that is constant in the training
            part, counts as 0.5, so 0.125 each; a constant one with a fixed range counts as its constant share.
        neutral: The indicators that ``constant`` stands for.
    """

    ranges: Mapping[str, tuple[float, float]]
    constant: float
    neutral: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """Cleaned data of one machine, ready to train on; everything fitted is fitted on rows before ``test_start`` alone.

    Attributes:
        machine: Name of the machine.
        frame: float32, one row per instant, the columns of ``features`` in their order, unscaled, then the target.
        timestamps: ``datetime64[us]`` in UTC, shape (rows,), strictly ascending.
        segments: int32, shape (rows,): number of the segment a row is in, ascending.
        test_start: Index of the first row of the test part.
        features: Names of the inputs, in order.
        running: bool, shape (rows,): whether the engine ran.
        summary: What was found and done.
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
        health: The score's definition.
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
        role: What it is to a reader of the status: ``model``, ``scaler``, ``report``, ...
        suffix: The end of its object name, such as ``.h5``.
        content: Its bytes.
    """

    role: str
    suffix: str
    content: bytes


@dataclass(frozen=True)
class TrainedModel:
    """The outcome of one training: what to publish and what to say of it.

    Attributes:
        files: Every file of the model; those of the contract with readers have the roles ``model`` and ``scaler``.
        metrics: Strict JSON for the registry: the keys of the contract and more; non-finite numbers are None.
        summary: One short line for the status column, such as ``skill 0.31``.
        report: What the report draws, by name: arrays of predictions, curves, importances.
    """

    files: Sequence[ModelFile]
    metrics: Mapping[str, Any]
    summary: str
    report: Mapping[str, Any]
