"""Small telemetry for tests, from readings by column, and specs with few fields."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Telemetry

START = np.datetime64("2025-01-01T00:00:00", "us")
MACHINE = "MOTOBOMBA-007"
DROP = "Eng_RPM_variation_percentage"

Readings = Mapping[str, Sequence[float] | np.ndarray[Any, Any]]


def at(seconds: Sequence[float] | np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Timestamps, given in seconds after the start."""
    return START + (np.asarray(seconds, np.float64) * 1e6).astype("timedelta64[us]")


def telemetry(readings: Readings, seconds: Sequence[float] | np.ndarray[Any, Any] | None = None) -> Telemetry:
    """Telemetry of the given readings, by default one row every ten seconds."""
    values = pd.DataFrame({name: np.asarray(column, np.float32) for name, column in readings.items()})
    return Telemetry(MACHINE, at(np.arange(len(values)) * 10 if seconds is None else seconds), values, "0" * 64)


def sensors(rows: int, seed: int = 0) -> dict[str, np.ndarray[Any, Any]]:
    """Readings of a healthy machine; every sensor varies."""
    random = np.random.default_rng(seed)
    means = {"Oil_P": 500, "Oil_L": 45, "Recalque": 55, "Succao": -20, "Eng_RPM": 1600, "Cool_T": 80, "Bat_V": 28}
    return {name: mean + random.normal(0, 2, rows) for name, mean in means.items()} | {"running": np.ones(rows)}


def with_events(rows: int, events: tuple[int, ...], **others: np.ndarray[Any, Any]) -> dict[str, np.ndarray[Any, Any]]:
    """Readings of a healthy machine whose speed falls in some rows."""
    drops = np.random.default_rng(1).normal(0, 1, rows)
    drops[list(events)] = -100
    return sensors(rows) | {DROP: drops} | others


def spec(model: str = "gru", data: Mapping[str, Any] | None = None, **block: Any) -> TrainingJobSpec:
    """A spec with the field names of the API; by default few rows are sufficient."""
    return TrainingJobSpec.model_validate(
        {"machine": MACHINE, "model": {"type": model, model: block}, "data": {"minRows": 10} | dict(data or {})}
    )
