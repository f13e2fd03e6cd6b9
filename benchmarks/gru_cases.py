"""Training the gru: the reference, the same arithmetic in the product's loop, and the product as it is."""

import time
from typing import Any

import numpy as np

from benchmarks.reference import BATCH_SIZE, fit_gru, windows
from benchmarks.telemetry import dataset, spec
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.data.windows import Sequences, create_sequences
from trainingjob_trainer.models.gru.chunks import TrainingData
from trainingjob_trainer.models.gru.ensemble import VALIDATION_WINDOWS, Ensemble
from trainingjob_trainer.models.gru.model import fit_network, train_gru
from trainingjob_trainer.models.gru.network import Shape, training_network
from trainingjob_trainer.models.gru.prediction import subsample
from trainingjob_trainer.models.gru.schedule import Schedule
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.metrics import regression_metrics
from trainingjob_trainer.models.reporter import SilentReporter


class Curve(SilentReporter):
    """Keeps when which validation RMSE was reached: pairs of seconds since its beginning and RMSE, one an epoch."""

    def __init__(self) -> None:
        """Starts the clock."""
        self.began = time.perf_counter()
        self.points: list[tuple[float, float]] = []

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Records an epoch."""
        self.points.append((time.perf_counter() - self.began, float(np.sqrt(validation_loss or 0.0))))


def reference(machine: str, seed: int, epochs: int, *, autotune: bool = True) -> dict[str, Any]:
    """The reference on all cores; its validation error is taken on the windows that the product checks."""
    import keras

    data = dataset(spec(machine, "gru"))
    cut = sequences_of(spec(machine, "gru"), data)
    inputs = cut.training.inputs
    score = data.frame["health_score"].to_numpy()
    began = time.perf_counter()
    parts = {
        name: windows(inputs, score, part.starts, part.length)
        for name, part in (("training", cut.training), ("validation", cut.validation), ("test", cut.test))
    }
    seconds_of_windows = time.perf_counter() - began
    x, y = parts["validation"]
    checked = subsample(cut.validation, VALIDATION_WINDOWS)
    curve: list[tuple[float, float]] = []

    class Check(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            curve.append((time.perf_counter() - began - self.spent, 0.0))
            paused = time.perf_counter()
            predicted = self.model.predict(x[checked], batch_size=1024, verbose=0)[:, 0]
            curve[-1] = (curve[-1][0], regression_metrics(y[checked], predicted)["rmse"])
            self.spent += time.perf_counter() - paused

        spent = 0.0

    model, history = fit_gru(
        parts["training"], parts["validation"], seed=seed, epochs=epochs, autotune=autotune, callbacks=[Check()]
    )
    seconds = curve[-1][0]
    test = regression_metrics(parts["test"][1], model.predict(parts["test"][0], batch_size=1024, verbose=0)[:, 0])
    return {
        "fit_seconds": seconds,
        "windows_seconds": seconds_of_windows,
        "windows_per_second": len(cut.training) * len(history.epoch) / (seconds - seconds_of_windows),
        "curve": curve,
        "best_validation_rmse": min(rmse for _, rmse in curve),
        "test_rmse": test["rmse"],
    }


def same_arithmetic(machine: str, seed: int, epochs: int) -> dict[str, Any]:
    """Direct, every window for itself, 32 a step, rate 1e-3: the reference's arithmetic in the product's loop."""
    wanted = spec(machine, "gru", output="Direct")
    settings = wanted.model.gru
    cut = sequences_of(wanted)
    training = cut.training
    curve = Curve()
    target = standardise(training, None)
    shape = Shape(settings.sequence_length, training.inputs.shape[1], settings.units, settings.dropout)
    ensemble = Ensemble(shape, target, None, cut.validation)
    data = TrainingData(training, target, 1, BATCH_SIZE, ensemble.validation_loss)
    schedule = Schedule(
        epochs=epochs,
        steps=data.steps_in_pass,
        learning_rate=settings.learning_rate,
        stop_patience=settings.early_stopping_patience,
        learning_rate_patience=settings.reduce_lr_on_plateau_patience,
        seed=seed,
    )
    fit_network(training_network(shape, 1, seed), data, schedule, curve, None)
    seconds = time.perf_counter() - curve.began
    return {
        "fit_seconds": seconds,
        "windows_per_second": len(training) * len(curve.points) / seconds,
        "curve": curve.points,
        "best_validation_rmse": min(rmse for _, rmse in curve.points),
    }


def product(machine: str, seed: int, **settings: Any) -> dict[str, Any]:
    """The product's own training; ``settings`` go into ``model.gru``."""
    wanted = spec(machine, "gru", seed=seed, **settings)
    data = dataset(wanted)
    curve = Curve()
    trained = train_gru(data, wanted, curve)
    names = ("rmse", "rmse_persistence", "rmse_ridge", "skill", "mae", "mae_persistence", "epochs_trained")
    return {
        "fit_seconds": time.perf_counter() - curve.began,
        "curve": curve.points,
        "best_validation_rmse": min(rmse for _, rmse in curve.points),
        "test_rmse": trained.metrics["rmse"],
        **{name: trained.metrics[name] for name in names},
    }


def sequences_of(wanted: TrainingJobSpec, data: HealthDataset | None = None) -> Sequences:
    """The windows that a spec asks for, of data that is loaded unless it is given."""
    settings = wanted.model.gru
    return create_sequences(data or dataset(wanted), settings.sequence_length, settings.validation_fraction)
