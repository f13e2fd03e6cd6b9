"""A whole gru run, from a process that has imported nothing to a registered model, and where its seconds go."""

import io
import json
import os
import pickle
import resource
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2

from benchmarks.environments import REFERENCE
from benchmarks.goals import Check, at_most
from benchmarks.measure import Case, Measurement, run
from benchmarks.reference import EPOCHS, fit_gru, load, windows
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds, thousandths
from benchmarks.telemetry import TRAINER, simulated, spec
from cluster.programs import run_program
from trainingjob_api.progress import Stage

LENGTH = 60
INDICATORS = ("Oil_P", "Oil_L", "Recalque", "Succao")
FEATURES = (*INDICATORS, "Eng_RPM", "Cool_T", "Bat_V")

SECONDS = {20_000: 20, 100_000: 40}
SHARE_OF_THE_REFERENCE = {100_000: 1 / 15}
REFERENCE_WAY = "reference"
PRODUCT_WAYS = ("product, empty compile cache", "product, filled compile cache")


def reference(machine: str, seed: int) -> dict[str, Any]:
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
    model, _ = fit_gru(training, validation, seed=seed, epochs=EPOCHS)
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


def product(machine: str, seed: int, cache: str) -> dict[str, Any]:
    """``trainingjob-trainer run`` of a TrainingJob with its defaults; never adopted from an earlier run.

    Args:
        machine: What to train on.
        seed: Of the training.
        cache: Folder of the compile cache.
    """
    job = {
        "apiVersion": "training.pumphealth.io/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": "benchmark"},
        "spec": spec(machine, "gru", seed=seed).as_json() | {"reuse": "Never"},
    }
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(job, file)
        file.flush()
        began = time.perf_counter()
        run_program([TRAINER, "run", "-f", file.name], environment={"TRAINER_CACHE_DIR": cache})
        elapsed = time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    with psycopg2.connect("") as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT metrics FROM models WHERE machine_name = %s AND bucket_address LIKE 'gru%%'"
            " ORDER BY bucket_address DESC LIMIT 1",
            (machine,),
        )
        found = cursor.fetchone() or ("{}",)
    metrics: dict[str, Any] = json.loads(found[0]) if isinstance(found[0], str) else found[0]
    return {
        "run_seconds": elapsed,
        "run_cpu_seconds": usage.ru_utime + usage.ru_stime,
        # Seconds by stage.
        "durations": metrics.get("durations", {}),
        **{name: metrics[name] for name in ("mae", "rmse", "r2", "rmse_persistence", "rmse_ridge", "epochs_trained")},
    }


def tables(scope: Scope) -> Sequence[Table]:
    """Seconds of whole runs with an empty and with a filled compile cache, and of their stages."""
    found: list[tuple[int, str, Measurement]] = []
    for size in scope.sizes:
        arguments = {"machine": simulated(size), "seed": 1}
        if scope.reference_seeds:
            found.append((size, REFERENCE_WAY, run(Case("whole.reference", arguments, REFERENCE))))
        with tempfile.TemporaryDirectory() as cache:
            # The first run fills the cache of the second.
            case = Case("whole.product", {**arguments, "cache": cache})
            found += [(size, way, run(case)) for way in PRODUCT_WAYS]
    return [_totals(found), _stages([each for each in found if each[1] in PRODUCT_WAYS])]


def _totals(found: Sequence[tuple[int, str, Measurement]]) -> Table:
    references = {size: each.seconds for size, way, each in found if way == REFERENCE_WAY}
    rows = []
    for size, way, measurement in found:
        # The product's case runs it in a process of its own.
        elapsed = measurement.values.get("run_seconds", measurement.seconds)
        cpu = measurement.values.get("run_cpu_seconds", measurement.cpu_seconds)
        share = elapsed / references[size] if size in references else None
        cells = (f"{size:,}", way, seconds(elapsed), seconds(cpu), "-" if share is None else f"1/{1 / share:.1f}")
        checks = _checks(size, elapsed, share) if way in PRODUCT_WAYS else ()
        rows.append(Row((*cells, thousandths(measurement.values["rmse"])), checks))
    headings = ("rows", "way", "seconds", "CPU", "of the reference", "RMSE x 1000")
    note = "" if references else "the reference takes minutes and is left out here"
    title = "A whole gru run, process start to registered model"
    return Table(title, headings, rows, [measurement for *_, measurement in found], note)


def _checks(size: int, elapsed: float, share: float | None) -> Sequence[Check]:
    checks = [at_most("seconds", elapsed, SECONDS[size], " s")]
    if share is not None and size in SHARE_OF_THE_REFERENCE:
        checks.append(at_most("share of the reference", share, SHARE_OF_THE_REFERENCE[size]))
    return checks


def _stages(found: Sequence[tuple[int, str, Measurement]]) -> Table:
    """The stages that the run reported; a stage without a duration is part of the rest."""
    rows = []
    for size, way, measurement in found:
        durations = [measurement.values["durations"].get(stage) for stage in Stage]
        rest = measurement.values["run_seconds"] - sum(each for each in durations if each is not None)
        rows.append(Row((f"{size:,}", way, *map(seconds, durations), seconds(rest))))
    note = "rest: what no stage covers, such as the start of the interpreter"
    return Table("Where the seconds of a whole run go", ("rows", "way", *Stage, "rest"), rows, (), note)


def _store() -> dict[str, Any]:
    return {
        "endpoint": os.environ["S3_ENDPOINT"],
        "access_key": os.environ["S3_ACCESS_KEY"],
        "secret_key": os.environ["S3_SECRET_KEY"],
        "secure": False,
    }
