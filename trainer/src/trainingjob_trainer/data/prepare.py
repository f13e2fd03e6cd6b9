"""Preparation steps for all model types: rename columns, clean telemetry, select features that vary.

Everything that is fitted or decided from data uses only the rows before the test start.
"""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Data
from trainingjob_trainer.data.cleaning import Cleaned, clean
from trainingjob_trainer.data.dataset import Telemetry
from trainingjob_trainer.data.notes import Notes
from trainingjob_trainer.errors import TrainingError


def clean_telemetry(telemetry: Telemetry, data: Data) -> tuple[Cleaned, Notes]:
    """Rename the columns as specified, then clean the telemetry.

    Args:
        telemetry: The loaded telemetry.
        data: New names of columns, limits, longest gap, fraction of the test part.

    Returns:
        The cleaned rows, and the notes on them; ``notes.telemetry`` has the new names.

    Raises:
        TrainingError: InvalidConfiguration when the spec has columns that do not exist, InsufficientData below
            ``min_rows``.
    """
    renamed = _renamed(telemetry, data)
    cleaned = clean(renamed, data)
    return cleaned, Notes(renamed, cleaned, data)


def has_value(training: pd.DataFrame, name: str) -> bool:
    """Whether a column has any value in the training part."""
    return name in training and bool(training[name].notna().any())


def informative_features(training: pd.DataFrame, candidates: Iterable[str], notes: Notes) -> tuple[str, ...]:
    """The candidates that have at least two different values in the training part.

    Raises:
        TrainingError: InsufficientData when no candidate varies.
    """
    features = []
    for name in candidates:
        if name not in training:
            if name in notes.telemetry.unreadable:
                notes.drop(name)
            continue
        values = training[name].to_numpy()
        values = values[np.isfinite(values)]
        if not values.size:
            notes.drop(name)
        elif values.min() == values.max():
            notes.dropped[name] = f"constant in the training part ({values[0]:g})"
        else:
            features.append(name)
    if not features:
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {notes.telemetry.machine}: no column varies in the {len(training)} rows of the training part: "
            + "; ".join(f"{name}: {reason}" for name, reason in notes.dropped.items()),
        )
    notes.warn_of_losses(features)
    return tuple(features)


def running_rows(values: pd.DataFrame, test_start: int) -> NDArray[np.bool_]:
    """Mask of the rows with the engine running, from ``running``, else from the engine's speed; else all True."""
    known = [name for name in ("running", "Eng_RPM") if has_value(values.iloc[:test_start], name)]
    if not known:
        return np.ones(len(values), np.bool_)
    sensor = values[known[0]].to_numpy(np.float32)
    if known == ["running", "Eng_RPM"]:
        sensor = np.where(np.isnan(sensor), values["Eng_RPM"].to_numpy(np.float32), sensor)
    running: NDArray[np.bool_] = sensor > 0
    return running


def with_types(names: Iterable[str], telemetry: Telemetry) -> str:
    """The names as text, with the type of each column that is not numeric."""
    types = {name: f"{name} (it is of type {column.type_name})" for name, column in telemetry.unreadable.items()}
    return ", ".join(types.get(name, name) for name in names)


def _renamed(telemetry: Telemetry, data: Data) -> Telemetry:
    """Rename columns as ``data.columns`` says; an existing column with the new name is dropped."""
    renames = data.columns
    if not renames:
        return telemetry
    absent = sorted(source for source in renames.values() if source not in telemetry.values)
    if absent:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"columns: table {data.table} has no numeric column {with_types(absent, telemetry)}. It has "
            f"{', '.join(map(str, telemetry.values.columns))}.",
        )
    sources = set(renames.values())
    kept = {name: telemetry.values[name] for name in telemetry.values if name not in sources and name not in renames}
    values = pd.DataFrame(kept | {target: telemetry.values[source] for target, source in renames.items()}, copy=False)
    unreadable = {name: column for name, column in telemetry.unreadable.items() if name not in renames}
    return replace(telemetry, values=values, unreadable=unreadable)
