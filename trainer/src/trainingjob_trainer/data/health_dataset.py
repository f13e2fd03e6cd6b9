"""Prepares a dataset with a health score: fills the inputs, fits the score and the scaler, and computes the score."""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import MinMaxScaler

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Data, Gru
from trainingjob_api.values import HEALTH_INDICATORS
from trainingjob_trainer.data.absence import refuse_absent_indicators
from trainingjob_trainer.data.cleaning import Cleaned
from trainingjob_trainer.data.columns import ANALOGUE_OF, GRU_FEATURES
from trainingjob_trainer.data.dataset import HealthDataset, Telemetry
from trainingjob_trainer.data.health import fit_health_score, score
from trainingjob_trainer.data.notes import Notes
from trainingjob_trainer.data.prepare import (
    clean_telemetry,
    has_value,
    informative_features,
    running_rows,
    with_types,
)
from trainingjob_trainer.errors import TrainingError

_ROWS_FILLED = 5
"""Maximum number of missing rows after a reading that are forward-filled, within a segment."""

_ROWS_FITTED_AT_ONCE = 262_144


def prepare_health_dataset(telemetry: Telemetry, data: Data, gru: Gru) -> HealthDataset:
    """Prepare a dataset whose target is the health score.

    Args:
        telemetry: The loaded telemetry.
        data: Parameters of cleaning and splitting.
        gru: Features, health indicators and the kind of output.

    Raises:
        TrainingError: InsufficientData when no model can be trained on the data, InvalidConfiguration when the spec
            has columns that do not exist. The message says what to do.
    """
    cleaned, notes = clean_telemetry(telemetry, data)
    telemetry = notes.telemetry
    values = _with_analogue_inputs(cleaned, notes)
    training = values.iloc[: cleaned.test_start]
    absent = [notes.absence(name) for name in HEALTH_INDICATORS if not has_value(training, name)]
    if gru.missing_indicators == "Refuse":
        refuse_absent_indicators(telemetry.machine, absent)
    health = fit_health_score(telemetry.machine, training, gru.health_ranges)
    _refuse_unknown_features(telemetry, values.columns, gru)
    features = informative_features(training, gru.features or GRU_FEATURES, notes)
    unseen = [name for name in health.ranges if name not in features]
    if unseen and gru.output == "Residual":
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"machine {telemetry.machine}: features lacks {', '.join(unseen)}, which output Residual needs to compute "
            "the last score. Add it, or set output to Direct.",
        )
    filled = pd.DataFrame(
        {name: _filled(name, values[name].to_numpy(np.float32), cleaned, notes) for name in (*features, *unseen)},
        copy=False,
    )
    frame = filled[list(features)].copy(deep=False)
    frame["health_score"] = score(health, values)
    missing_targets = int(np.count_nonzero(np.isnan(frame["health_score"].to_numpy())))
    notes.count("rows without a health score", missing_targets)
    if health.neutral:
        causes = {one.column: one.cause for one in absent}
        explained = (f"{name} ({causes.get(name, 'constant in the training part')})" for name in health.neutral)
        notes.warnings.append(f"The health score uses a constant for {', '.join(explained)}.")
    return HealthDataset(
        machine=telemetry.machine,
        frame=frame,
        timestamps=cleaned.timestamps,
        segments=cleaned.segments,
        test_start=cleaned.test_start,
        features=features,
        running=running_rows(values, cleaned.test_start),
        summary=notes.summary(),
        scaler=_fitted_scaler(frame, features, cleaned.test_start),
        health=health,
        persistence_forecast=score(health, filled),
    )


def _with_analogue_inputs(cleaned: Cleaned, notes: Notes) -> pd.DataFrame:
    """Replace pressures that have no value in the training part by their raw analogue inputs."""
    values = cleaned.values.copy(deep=False)
    for pressure, analogue in ANALOGUE_OF.items():
        training = values.iloc[: cleaned.test_start]
        if not has_value(training, pressure) and has_value(training, analogue):
            values[pressure] = values[analogue]
            notes.sources[pressure] = analogue
            notes.warnings.append(f"{analogue} is used as {pressure}. {notes.absence(pressure).description}")
    return values


def _refuse_unknown_features(telemetry: Telemetry, columns: Iterable[object], gru: Gru) -> None:
    unknown = sorted(set(gru.features).difference(map(str, columns), HEALTH_INDICATORS))
    if unknown:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"machine {telemetry.machine}: features has {with_types(unknown, telemetry)}, but the table has no numeric "
            "column of that name.",
        )


def _filled(name: str, values: NDArray[np.float32], cleaned: Cleaned, notes: Notes) -> NDArray[np.float32]:
    missing = int(np.count_nonzero(np.isnan(values)))
    if not missing:
        return values
    carried = pd.Series(values).groupby(cleaned.segments, sort=False).ffill(limit=_ROWS_FILLED).to_numpy()
    rest = np.isnan(carried)
    notes.count(f"{name} carried forward", missing - int(np.count_nonzero(rest)))
    notes.count(f"{name} filled with the training median", int(np.count_nonzero(rest)))
    return np.where(rest, np.float32(np.nanmedian(values[: cleaned.test_start])), carried)


def _fitted_scaler(frame: pd.DataFrame, features: tuple[str, ...], test_start: int) -> MinMaxScaler:
    """Fit on a DataFrame of float64, so that readers get exact ranges and names; in blocks, to limit memory."""
    scaler = MinMaxScaler()
    for start in range(0, test_start, _ROWS_FITTED_AT_ONCE):
        block = frame.iloc[start : min(start + _ROWS_FITTED_AT_ONCE, test_start)]
        scaler.partial_fit(block[list(features)].astype(np.float64))
    return scaler
