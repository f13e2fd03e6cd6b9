"""A whole gru run, from a process that has imported nothing to a registered model."""

import io
import json
import os
import pickle
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2

from benchmarks.reference import EPOCHS, fit_gru, load, windows
from benchmarks.telemetry import spec
from cluster.programs import run_program

LENGTH = 60
INDICATORS = ("Oil_P", "Oil_L", "Recalque", "Succao")
FEATURES = (*INDICATORS, "Eng_RPM", "Cool_T", "Bat_V")
_TRAINER = Path(sys.executable).with_name("trainingjob-trainer")


def reference(machine: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """The plain script: read, fill, scale, slice, fit, save, upload, insert."""
    from minio import Minio
    from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
    from sklearn.preprocessing import MinMaxScaler

    with psycopg2.connect("") as connection:
        frame = load(connection, machine, list(FEATURES))
    sensors = frame[list(FEATURES)].where(frame[list(FEATURES)].abs() < 20_000)
    sensors = sensors.mask(sensors == -1).ffill(limit=5)
    border = int(len(sensors) * 0.8)
    sensors = sensors.fillna(sensors.iloc[:border].median())
    scaler = MinMaxScaler().fit(sensors.iloc[:border])
    inputs = scaler.transform(sensors)
    score = inputs[:, : len(INDICATORS)].mean(axis=1)
    validation_border = int(border * 0.9)
    training = windows(inputs, score, np.arange(0, validation_border - LENGTH), LENGTH)
    validation = windows(inputs, score, np.arange(validation_border, border - LENGTH), LENGTH)
    test = windows(inputs, score, np.arange(border, len(sensors) - LENGTH), LENGTH)
    model, _ = fit_gru(training, validation, seed=seed, epochs=epochs)
    predicted = model.predict(test[0], batch_size=1024, verbose=0)[:, 0]
    metrics = {
        "mae": mean_absolute_error(test[1], predicted),
        "rmse": mean_squared_error(test[1], predicted) ** 0.5,
        "r2": r2_score(test[1], predicted),
        "rmse_persistence": mean_squared_error(test[1], test[0][:, -1, : len(INDICATORS)].mean(axis=1)) ** 0.5,
    }
    store = Minio(**_store())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.h5"
        model.save(file)
        store.fput_object("models", f"reference_weights_{machine}.h5", str(file))
    pickled = pickle.dumps(scaler)
    store.put_object("models", f"reference_scaler_{machine}.pkl", io.BytesIO(pickled), len(pickled))
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO models (machine_name, bucket_address, data_start_date, data_end_date, metrics, model_type)"
            " VALUES (%s, %s, %s, %s, %s, 'gru')",
            (
                machine,
                f"reference_weights_{machine}.h5",
                pd.Timestamp(frame["timestamp"].iloc[0]),
                pd.Timestamp(frame["timestamp"].iloc[-1]),
                json.dumps(metrics),
            ),
        )
    return metrics


def product(machine: str, seed: int, **settings: Any) -> dict[str, Any]:
    """``trainingjob-trainer run`` of a TrainingJob with its defaults; never adopted from an earlier run."""
    job = {
        "apiVersion": "training.pumphealth.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "benchmark"},
        "spec": spec(machine, "gru", seed=seed, **settings).as_json() | {"reuse": "Never"},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(job, file)
        file.flush()
        run_program([_TRAINER, "run", "-f", file.name])
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT metrics FROM models WHERE machine_name = %s AND bucket_address LIKE 'gru%%'"
            " ORDER BY bucket_address DESC LIMIT 1",
            (machine,),
        )
        found = cursor.fetchone() or ("{}",)
    metrics: dict[str, Any] = json.loads(found[0]) if isinstance(found[0], str) else found[0]
    return {name: metrics[name] for name in ("mae", "rmse", "r2", "rmse_persistence", "rmse_ridge", "epochs_trained")}


def _store() -> dict[str, Any]:
    return {
        "endpoint": os.environ["S3_ENDPOINT"],
        "access_key": os.environ["S3_ACCESS_KEY"],
        "secret_key": os.environ["S3_SECRET_KEY"],
        "secure": False,
    }
