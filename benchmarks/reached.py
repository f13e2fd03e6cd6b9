"""How long the product trains until the validation error of the reference, which trains windows in TensorFlow."""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.environments import REFERENCE, of_product
from benchmarks.goals import at_most
from benchmarks.measure import Case, Measurement, median, run
from benchmarks.reference import EPOCHS, fit_gru, windows
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds
from benchmarks.telemetry import dataset, simulated, spec
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.models.metrics import regression_metrics

TOLERANCE = 1.01
SHARE_OF_THE_REFERENCE = {20_000: 1 / 10, 100_000: 1 / 25}


def reference(machine: str, seed: int, epochs: int, *, autotune: bool = True) -> dict[str, Any]:
    """The reference on the windows of the product; import of Keras, and validation for the curve, are not timed.

    The validation error is that of the windows on which the product validates.
    """
    import keras

    from trainingjob_trainer.models.gru.prediction import subsample
    from trainingjob_trainer.models.gru.validation import VALIDATION_TARGETS

    wanted = spec(machine, "gru")
    data = dataset(wanted)
    sequences = create_sequences(data, wanted.model.gru.sequence_length, wanted.model.gru.validation_fraction)
    training, validation = sequences.training, sequences.validation
    score = data.frame["health_score"].to_numpy()
    began = time.perf_counter()
    train, validate = (windows(part.inputs, score, part.starts, part.length) for part in (training, validation))
    windows_seconds = time.perf_counter() - began
    x, y = (values[subsample(validation, VALIDATION_TARGETS)] for values in validate)
    curve: list[tuple[float, float]] = []

    class Validation(keras.callbacks.Callback):  # type: ignore[misc]
        paused_seconds = 0.0

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            paused = time.perf_counter()
            rmse = regression_metrics(y, self.model.predict(x, batch_size=1024, verbose=0)[:, 0])["rmse"]
            curve.append((paused - began - self.paused_seconds, rmse))
            self.paused_seconds += time.perf_counter() - paused

    fit_gru(train, validate, seed=seed, epochs=epochs, autotune=autotune, callbacks=[Validation()])
    fit_seconds = curve[-1][0]
    return {
        "fit_seconds": fit_seconds,
        "windows_per_second": len(training) * len(curve) / (fit_seconds - windows_seconds),
        "curve": curve,
        "best_validation_rmse": min(rmse for _, rmse in curve),
    }


def tables(scope: Scope) -> Sequence[Table]:
    """Seconds until the median of the reference's best errors + 1 %, over the seeds."""
    rows, measurements = [], []
    for size in scope.sizes:
        machine = simulated(size)
        references = [
            run(Case("reached.reference", {"machine": machine, "seed": seed, "epochs": EPOCHS}, REFERENCE))
            for seed in scope.reference_seeds
        ]
        products = [
            run(Case("training.product", {"machine": machine, "seed": seed}, of_product())) for seed in scope.seeds
        ]
        measurements += references + products
        rows.append(_row(size, references, products))
    headings = (
        "rows",
        "reference, 10 epochs",
        "until its best + 1 %",
        "product until then",
        "seeds that never reach it",
    )
    return [Table("Until the reference's validation error", headings, rows, measurements, "medians of the seeds")]


def seconds_until(points: Sequence[tuple[float, float]], rmse: float) -> float | None:
    """Seconds until a validation RMSE is reached; None if it never is.

    Args:
        points: Seconds and RMSE of each epoch.
        rmse: The wanted one.
    """
    return next((moment for moment, reached in points if reached <= rmse), None)


def _row(size: int, references: Sequence[Measurement], products: Sequence[Measurement]) -> Row:
    wanted = median(references, "best_validation_rmse") * TOLERANCE
    fit = median(references, "fit_seconds")
    own = [seconds_until(each.values["curve"], wanted) for each in references]
    curves = [[(moment, rmse) for moment, _, rmse in each.values["epochs"]] for each in products]
    times = [seconds_until(curve, wanted) for curve in curves]
    middle = _median(times)
    never = sum(each is None for each in times)
    share = SHARE_OF_THE_REFERENCE[size]
    checks = [at_most("share", None if middle is None else middle / fit, share)]
    cells = (f"{size:,}", seconds(fit), seconds(_median(own)), seconds(middle), f"{never} of {len(times)}")
    return Row(cells, checks)


def _median(times: Sequence[float | None]) -> float | None:
    """The median, None being later than any time."""
    middle = statistics.median_high([float("inf") if each is None else each for each in times])
    return None if middle == float("inf") else middle
