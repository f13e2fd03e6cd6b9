"""Small prepared data, and Keras on the backend that the trainer takes on a CPU."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import DataSummary, HealthDataset, HealthScore
from trainingjob_trainer.data.windows import Sequences, create_sequences

os.environ.setdefault("KERAS_BACKEND", "jax")
# Every training here compiles the same few small networks.
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "trainingjob-jax"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")

FEATURES = ("Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM")
SEGMENTS = (70, 9, 83, 40)


@pytest.fixture
def dataset() -> HealthDataset:
    """Four stretches of rows, one too short for a window of 8; scores of some rows are missing."""
    random = np.random.default_rng(1)
    rows = sum(SEGMENTS)
    values = np.cumsum(random.normal(size=(rows, len(FEATURES))), axis=0) * [20, 1, 3, 2, 50] + [450, 40, 30, 0, 1600]
    frame = pd.DataFrame(values.astype(np.float32), columns=FEATURES)
    test_start = 150
    training = frame[:test_start]
    ranges = {name: (float(training[name].min()), float(training[name].max())) for name in FEATURES[:4]}
    score = sum(0.25 * (frame[name] - low) / (high - low) for name, (low, high) in ranges.items()).astype(np.float32)
    times = np.datetime64("2025-01-01", "us") + np.arange(rows) * np.timedelta64(10, "s")
    return HealthDataset(
        machine="MOTOBOMBA-007",
        frame=frame.assign(health_score=score.where(random.random(rows) > 0.05)),
        timestamps=times,
        segments=np.repeat(np.arange(len(SEGMENTS), dtype=np.int32), SEGMENTS),
        test_start=test_start,
        features=FEATURES,
        running=frame["Eng_RPM"].to_numpy() > 1500,
        summary=DataSummary(rows, rows, len(SEGMENTS), 10.0, "f" * 64, times[0], times[-1]),
        scaler=MinMaxScaler().fit(training[list(FEATURES)]),
        health=HealthScore(ranges, 0.0, ()),
        persistence_forecast=score.to_numpy(),
    )


@pytest.fixture
def sequences(dataset: HealthDataset) -> Sequences:
    return create_sequences(dataset, 8, 0.2)


@pytest.fixture
def make_spec() -> Callable[..., TrainingJobSpec]:
    """A spec of a small network, changed by what is given for ``model.gru``."""

    def make(**changes: object) -> TrainingJobSpec:
        small = {"sequenceLength": 8, "units": [4, 3], "epochs": 3, "stepsPerEpoch": 2, "validationFraction": 0.2}
        model = {"type": "gru", "gru": small | changes, "seed": 7}
        return TrainingJobSpec.model_validate({"machine": "MOTOBOMBA-007", "model": model})

    return make
