"""Small telemetry for tests: readings by column, and specs by the fields that matter."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Telemetry

START = np.datetime64("2025-01-01T00:00:00", "us")
MACHINE = "MOTOBOMBA-007"

Readings = Mapping[str, Sequence[float] | np.ndarray[Any, Any]]


def at(seconds: Sequence[float] | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Instants so many seconds after the start."""
    return START + (np.asarray(seconds, np.float64) * 1e6).astype("timedelta64[us]")


def telemetry(readings: Readings, seconds: Sequence[float] | np.ndarray[Any, Any] | None = None) -> Telemetry:
    """Telemetry of the given readings, a row every ten seconds unless told otherwise."""
    values = pd.DataFrame({name: np.asarray(column, np.float32) for name, column in readings.items()})
    return Telemetry(MACHINE, at(np.arange(len(values)) * 10 if seconds is None else seconds), values, "0" * 64)


def sensors(rows: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Readings of a healthy machine that varies in every sensor."""
    random = np.random.default_rng(seed)
    means = {"Oil_P": 500, "Oil_L": 45, "Recalque": 55, "Succao": -20, "Eng_RPM": 1600, "Cool_T": 80, "Bat_V": 28}
    return {name: mean + random.normal(0, 2, rows) for name, mean in means.items()} | {"running": np.ones(rows)}


def spec(model: str = "gru", data: Mapping[str, Any] | None = None, **block: Any) -> TrainingJobSpec:
    """A spec with the API's own names; few rows are enough unless told otherwise."""
    return TrainingJobSpec.model_validate(
        {"machine": MACHINE, "model": {"type": model, model: block}, "data": {"minRows": 10} | dict(data or {})}
    )
