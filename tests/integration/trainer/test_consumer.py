"""Programs that know only the contract with readers get the same scores, with old and new libraries."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import MinMaxScaler

from cluster import cache

PROGRAM = Path(__file__).with_name("consumer_program.py")
FEATURES = ("Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM")
LENGTH = 60
OLDEST_READER = ("tensorflow-cpu==2.15.1", "numpy==1.26.4", "scikit-learn==1.3.2", "pandas==2.1.4")
"""The oldest versions that can read the files: Keras 2.15 the .h5, numpy 1.26 the pickle of numpy 2."""


@dataclass(frozen=True)
class Published:
    """A bucket on disk, the requests for its models, and the expected scores."""

    bucket: Path
    requests: tuple[Path, ...]
    scores: tuple[float, ...]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """One model in each form that is saved: Direct, on the last score, and mixed with a ridge regression."""
    os.environ.setdefault("KERAS_BACKEND", "jax")
    from trainingjob_trainer.data.dataset import HealthScore
    from trainingjob_trainer.models.gru.baselines import LinearScore
    from trainingjob_trainer.models.gru.export import save_model, save_scaler
    from trainingjob_trainer.models.gru.network import (
        Shape,
        fold,
        prediction_network,
        set_trained_weights,
        training_network,
    )

    random = np.random.default_rng(0)
    bucket = tmp_path_factory.mktemp("models")
    telemetry = pd.DataFrame(
        random.normal([450, 40, 30, 0, 1600], [50, 4, 9, 7, 100], (300, 5)).astype(np.float32), columns=FEATURES
    )
    scaler = MinMaxScaler().fit(telemetry)
    last, whole = (
        LinearScore(random.random((rows, len(FEATURES))) / (rows * len(FEATURES)), 0.1) for rows in (1, LENGTH)
    )
    shape = Shape(LENGTH, len(FEATURES), (64, 32), 0.2)
    weights = fold(training_network(shape, LENGTH, seed=3).get_weights(), 0.02, 0.5)
    requests, scores = [], []
    for number, skip in enumerate((None, last, whole)):
        model = prediction_network(shape, skip)
        set_trained_weights(model, weights)
        address = f"gru_model_weights_PUMP-{number}_2025_01_02_03_04_05.h5"
        files = {
            file.role: file.content
            for file in [save_model(shape, weights, skip), *save_scaler(scaler, HealthScore({}, 1.0, ()))]
        }
        (bucket / address).write_bytes(files["model"])
        (bucket / address.replace("weights", "scaler").replace(".h5", ".pkl")).write_bytes(files["scaler"])
        rows = telemetry[-LENGTH:]
        inputs = (rows.to_numpy(np.float64) * scaler.scale_ + scaler.min_).astype(np.float32)
        scores.append(float(np.asarray(model.predict_on_batch(inputs[None]))[0, 0]))
        request = {"bucket_address": address, "features_used": FEATURES, "rows": rows.to_dict("list")}
        requests.append(bucket / f"request-{number}.json")
        requests[-1].write_text(json.dumps(request))
    return Published(bucket, tuple(requests), tuple(scores))


def read(python: Path, published: Published, backend: str) -> list[list[float]]:
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("PYTHONPATH", None)
    command = [python, PROGRAM, published.bucket, *published.requests]
    done = subprocess.run(command, env=environment, cwd=published.bucket, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("scores:")[2])


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_the_newest_reader_predicts_the_same_scores(published: Published, backend: str) -> None:
    expected = np.repeat(np.array(published.scores)[:, None], 2, axis=1)
    assert read(Path(sys.executable), published, backend) == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(expected).all()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the oldest reader needs Python 3.11 or older")
def test_the_oldest_reader_predicts_the_same_scores(published: Published) -> None:
    folder = cache.folder("reader", cache.digest(OLDEST_READER), install_oldest_reader, lambda: None)
    expected = np.repeat(np.array(published.scores)[:, None], 2, axis=1)
    assert read(folder / "bin" / "python", published, "tensorflow") == pytest.approx(expected, abs=1e-6)


def install_oldest_reader(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--python", folder / "bin" / "python"]
    subprocess.run([*pip, "install", "--quiet", "--no-cache-dir", *OLDEST_READER], check=True)
