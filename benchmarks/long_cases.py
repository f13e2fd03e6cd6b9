"""A long history: how fast the reference and the product train on it, and in how much memory."""

import time
from typing import Any

from benchmarks.gru_cases import Curve, sequences_of
from benchmarks.reference import BATCH_SIZE, fit_gru, windows
from benchmarks.telemetry import dataset, spec
from trainingjob_trainer.models.gru.chunks import tile
from trainingjob_trainer.models.gru.model import train_gru

FIRST_STEP, LAST_STEP = 50, 550
"""Optimiser steps of the reference between which it is timed: an epoch of it takes a quarter of an hour."""


def reference(machine: str, *, autotune: bool = True) -> dict[str, Any]:
    """The reference with all its windows in memory, for some steps of its first epoch."""
    import keras

    settings = spec(machine, "gru")
    data = dataset(settings)
    training = sequences_of(settings, data).training
    score = data.frame["health_score"].to_numpy()
    began = time.perf_counter()
    x, y = windows(training.inputs, score, training.starts, training.length)
    seconds = time.perf_counter() - began

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        seconds = 0.0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if batch == FIRST_STEP:
                self.began = time.perf_counter()
            elif batch == LAST_STEP:
                self.seconds = time.perf_counter() - self.began
                self.model.stop_training = True

    clock = Clock()
    fit_gru((x, y), (x[:BATCH_SIZE], y[:BATCH_SIZE]), seed=1, epochs=1, autotune=autotune, callbacks=[clock])
    return {
        "windows_seconds": seconds,
        "targets_per_second": BATCH_SIZE * (LAST_STEP - FIRST_STEP) / clock.seconds,
    }


def product(machine: str) -> dict[str, Any]:
    """The product's default for two epochs, of which the second is timed, its check on the validation part included."""
    settings = spec(machine, "gru", epochs=2)
    data = dataset(settings)
    began = time.perf_counter()
    training = sequences_of(settings, data).training
    seconds = time.perf_counter() - began
    curve = Curve()
    metrics = train_gru(data, settings, curve).metrics
    (first, _), (second, _) = curve.points
    chunks = metrics["steps_per_epoch"] * metrics["chunks_per_step"]
    targets = chunks * len(training) / len(tile(training, training.length))
    return {"windows_seconds": seconds, "targets_per_second": targets / (second - first)}
