"""No value that is fitted, and no decision, depends on the test part."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry, with_events
from trainingjob_trainer.data.dataset import FailureDataset
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")


def _fitted(dataset: Any) -> dict[str, Any]:
    """All fitted values and decisions, and all rows before the test start."""
    test_start = dataset.test_start
    decided: dict[str, Any] = {
        "test_start": test_start,
        "features": dataset.features,
        "dropped": dataset.summary.dropped_columns,
        "step": dataset.summary.step_seconds,
        "running": dataset.running[:test_start].tolist(),
        "segments": dataset.segments[:test_start].tolist(),
    }
    if isinstance(dataset, FailureDataset):
        usable = dataset.usable[:test_start]
        return decided | {
            "usable": usable.tolist(),
            "rows": dataset.frame.iloc[:test_start][usable].to_numpy().tobytes(),
        }
    scaler = dataset.scaler
    return decided | {
        "health": dataset.health,
        "scaler": (scaler.scale_.tolist(), scaler.min_.tolist(), scaler.n_samples_seen_),
        "rows": dataset.frame.iloc[:test_start].to_numpy().tobytes(),
        "forecast": dataset.persistence_forecast[:test_start].tobytes(),
    }


@pytest.mark.parametrize("model", ["gru", "xgb"])
@pytest.mark.parametrize("change", ["huge", "missing", "constant", "negative", "sentinel", "slow"])
def test_no_fitted_value_or_decision_depends_on_the_test_part(model: str, change: str) -> None:
    rows, test_start = 500, 400
    readings = with_events(rows, (100, 250, 450), Auto=np.ones(rows), FlexAnalogue4_2=np.arange(rows))
    readings["Succao"][:test_start] = NAN
    readings["Cool_T"][200:210] = NAN
    whole = telemetry(readings)
    values = whole.values.copy()
    timestamps = whole.timestamps.copy()
    match change:
        case "huge":
            values.iloc[test_start:] = (
                np.random.default_rng(5).uniform(1e3, 1e4, (rows - test_start, values.shape[1])).astype(np.float32)
            )
        case "missing":
            values.iloc[test_start:] = NAN
        case "constant":
            values.iloc[test_start:] = 7
        case "negative":
            values.iloc[test_start:] = -90
        case "sentinel":
            values.iloc[test_start:] = -1
        case "slow":
            timestamps[test_start + 1 :] += np.arange(rows - test_start - 1) * np.timedelta64(45, "s")
    changed = replace(whole, values=values, timestamps=timestamps)
    wanted = spec(model, missingIndicators="Neutral") if model == "gru" else spec(model, preFailureWindowMinutes=5)
    before, after = (_fitted(prepare_data(one, wanted)) for one in (whole, changed))
    assert before == after


def test_fitted_values_depend_on_the_training_part() -> None:
    readings = sensors(100)
    before = _fitted(prepare_data(telemetry(readings), spec()))
    readings["Oil_P"][79] = 5000
    readings["Cool_T"][:80] = 80
    after = _fitted(prepare_data(telemetry(readings), spec()))
    assert {name for name in before if before[name] != after[name]} == {
        *("features", "dropped", "health", "scaler", "rows", "forecast")
    }
