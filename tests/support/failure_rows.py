"""Synthetic rows with failures, and a spec that trains on them quickly."""

import json

import numpy as np
import pandas as pd

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import DataSummary, FailureDataset

SEARCH = {"nEstimators": [5, 10], "maxDepth": [2, 3], "learningRate": [0.3], "subsample": [1]}
SPEC = TrainingJobSpec.model_validate_json(
    json.dumps({"machine": "PUMP-1", "model": {"type": "xgb", "xgb": {"search": SEARCH}}})
)


def prepared_rows(rows: int = 1000, test_start: int = 800) -> FailureDataset:
    """Failures every 200 rows, with a rising temperature before each; some values are missing."""
    generator = np.random.default_rng(7)
    position = np.arange(rows) % 200
    labels = (position >= 180).astype(np.float32)
    temperature = (70 + 20 * labels + generator.normal(0, 8, rows)).astype(np.float32)
    temperature[generator.random(rows) < 0.1] = np.nan
    noise = generator.normal(size=rows).astype(np.float32)
    timestamps = np.datetime64("2025-01-01", "us") + np.arange(rows) * np.timedelta64(10, "s")
    summary = DataSummary(rows, rows, 1, 10.0, "0" * 64, timestamps[0], timestamps[-1])
    return FailureDataset(
        machine="PUMP-1",
        frame=pd.DataFrame({"Cool_T": temperature, "Bat_V": noise, "failure_label": labels}),
        timestamps=timestamps,
        segments=np.zeros(rows, np.int32),
        test_start=test_start,
        features=("Cool_T", "Bat_V"),
        running=np.ones(rows, np.bool_),
        usable=np.arange(rows) != test_start - 1,
        summary=summary,
        events=position == 199,
    )
