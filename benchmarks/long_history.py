"""Long histories: speed and memory on rows on which the reference cannot be trained to its end."""

import time
from collections.abc import Sequence
from typing import Any

from benchmarks.environments import REFERENCE, of_product
from benchmarks.goals import at_most
from benchmarks.measure import Case, Measurement, run
from benchmarks.reference import BATCH_SIZE, EPOCHS, fit_gru, windows
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds
from benchmarks.telemetry import dataset, simulated, spec
from trainingjob_trainer.data.windows import create_sequences

LONG_ROWS, MEMORY_ROWS = 1_000_000, 6_300_000
GIGABYTES = 2.5
FIRST_STEP, LAST_STEP = 50, 550
"""Optimiser steps of the reference between which it is timed: an epoch of it takes a quarter of an hour."""


def reference(machine: str, *, autotune: bool = True) -> dict[str, Any]:
    """The reference with all its windows in memory, for some steps of its first epoch."""
    import keras

    wanted = spec(machine, "gru")
    data = dataset(wanted)
    training = create_sequences(data, wanted.model.gru.sequence_length, wanted.model.gru.validation_fraction).training
    score = data.frame["health_score"].to_numpy()
    began = time.perf_counter()
    x, y = windows(training.inputs, score, training.starts, training.length)
    windows_seconds = time.perf_counter() - began

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
    step_seconds = clock.seconds / (LAST_STEP - FIRST_STEP)
    return {"fit_seconds": windows_seconds + EPOCHS * len(x) / BATCH_SIZE * step_seconds}


def long_tables(scope: Scope) -> Sequence[Table]:
    """Seconds of a whole training, those of the reference projected, and peak memory."""
    arguments = {"machine": simulated(LONG_ROWS)}
    measurements = {
        "reference, projected": run(Case("long_history.reference", arguments, REFERENCE)),
        "the same, autotune off": run(Case("long_history.reference", {**arguments, "autotune": False}, REFERENCE)),
        "product": run(Case("training.product", {**arguments, "seed": 1}, of_product())),
    }
    rows = [Row((name, seconds(each.values["fit_seconds"]), _gigabytes(each))) for name, each in measurements.items()]
    note = f"reference: {EPOCHS} epochs without validation, from the time of {LAST_STEP - FIRST_STEP} steps"
    headings = ("training", "fit", "peak memory")
    return [Table(f"Training on {LONG_ROWS:,} rows", headings, rows, list(measurements.values()), note)]


def memory_tables(scope: Scope) -> Sequence[Table]:
    """Peak memory of the product from loading to a model, with two epochs of training."""
    arguments = {"machine": simulated(MEMORY_ROWS), "seed": 1, "epochs": 2}
    found = run(Case("training.product", arguments, of_product()))
    check = at_most("peak", found.peak_megabytes / 1000, GIGABYTES, " GB")
    rows = [Row((f"{MEMORY_ROWS:,}", _gigabytes(found), seconds(found.seconds)), [check])]
    return [Table("Memory of a gru training", ("rows", "peak memory", "whole process"), rows, [found])]


def _gigabytes(measurement: Measurement) -> str:
    return f"{measurement.peak_megabytes / 1000:.2f} GB"
