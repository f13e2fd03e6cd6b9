"""The product's training of the gru model on every series: error, steps, seconds, and its progress."""

import math
import resource
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks.environments import of_product
from benchmarks.goals import Check, at_most
from benchmarks.measure import Case, Measurement, run
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds, thousandths
from benchmarks.telemetry import CAROBD, SKAB_FREE, SKAB_SHORT, dataset, has_real_series, simulated, spec
from trainingjob_trainer.models.gru.model import train_gru
from trainingjob_trainer.models.reporter import SilentReporter

TOLERANCE, RIDGE_TOLERANCE = 1.002, 1.01
_RMSE_BEFORE = {"SIMULATED-20000": 0.01025, "SIMULATED-100000": 0.00922, SKAB_FREE: 0.02776, CAROBD: 0.02174}
RMSE = {machine: rmse * TOLERANCE for machine, rmse in _RMSE_BEFORE.items()}
"""Test RMSE at most: the worst of the seeds on 2026-11-26, when a training took 20 to 94 CPU seconds, and 0.2 %."""

CPU_SECONDS, CPU_SECONDS_OF_LONG, CPU_SECONDS_OF_SHORT = 10, 25, 3
LONG_ROWS = 100_000
PROGRESS_POINTS = 10
"""How far the told percentage may be from the elapsed share of the time, in percentage points."""


class Recorder(SilentReporter):
    """Records each epoch: seconds since the beginning, told progress (0 to 1) and validation RMSE."""

    def __init__(self) -> None:
        """Starts the clock."""
        self.epochs: list[tuple[float, float, float]] = []
        self._began = time.perf_counter()

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Records an epoch."""
        rmse = math.nan if validation_loss is None else math.sqrt(validation_loss)
        self.epochs.append((self.seconds(), epoch / epochs, rmse))

    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self._began


def product(machine: str, seed: int, **settings: Any) -> dict[str, Any]:
    """``train_gru`` from prepared data to a model with its test error, compilation included.

    Loading data and importing Keras are not timed: ``whole`` measures them.

    Args:
        machine: What to train on.
        seed: Of the training.
        settings: Of ``spec.model.gru``.
    """
    import keras  # noqa: F401 - imported before the clock starts

    wanted = spec(machine, "gru", seed=seed, **settings)
    data = dataset(wanted)
    before, recorder = _cpu_seconds(), Recorder()
    metrics = train_gru(data, wanted, recorder).metrics
    names = ("rmse", "rmse_persistence", "rmse_ridge", "mae", "mae_persistence", "epochs_trained", "steps_per_epoch")
    return {
        "fit_seconds": recorder.seconds(),
        "fit_cpu_seconds": _cpu_seconds() - before,
        "epochs": recorder.epochs,
        "steps": metrics["epochs_trained"] * metrics["steps_per_epoch"],
        **{name: metrics[name] for name in names},
    }


def told_at(epochs: Sequence[Sequence[float]], moment: float) -> float:
    """The progress, 0 to 1, that a training had last told at a moment.

    Args:
        epochs: Seconds and told progress of each epoch.
        moment: Seconds.
    """
    return max((told for at, told, *_ in epochs if at <= moment), default=0.0)


@dataclass(frozen=True)
class Series:
    """One machine to train on, and the goals of its trainings.

    Attributes:
        machine: Its name.
        cpu_seconds: At most; None without a goal.
        rmse: Test RMSE at most; None: that of ridge regression, times ``ridge_tolerance``.
        ridge_tolerance: See there.
        settings: Of ``spec.model.gru``.
    """

    machine: str
    cpu_seconds: float | None
    rmse: float | None = None
    ridge_tolerance: float = 1.0
    settings: Mapping[str, Any] = field(default_factory=dict)

    def checks(self, values: Mapping[str, Any]) -> Sequence[Check]:
        """The goals of a training that reported these values."""
        rmse = values["rmse_ridge"] * self.ridge_tolerance if self.rmse is None else self.rmse
        cpu_seconds = (
            () if self.cpu_seconds is None else (at_most("CPU", values["fit_cpu_seconds"], self.cpu_seconds, " s"),)
        )
        return *cpu_seconds, at_most("RMSE", values["rmse"] * 1000, rmse * 1000)


def tables(scope: Scope) -> Sequence[Table]:
    """Error and cost of each seed, and what each training told of its progress."""
    found = [
        (
            series,
            run(Case("training.product", {"machine": series.machine, "seed": seed, **series.settings}, of_product())),
        )
        for series in _all_series(scope)
        for seed in scope.seeds
    ]
    # A short training ends before anybody looks at its progress.
    long = [(series, each) for series, each in found if series.cpu_seconds != CPU_SECONDS_OF_SHORT]
    return [_trainings(found), _progress(long)]


def _all_series(scope: Scope) -> Iterator[Series]:
    for rows in scope.sizes:
        cpu_seconds = CPU_SECONDS_OF_LONG if rows >= LONG_ROWS else CPU_SECONDS
        yield Series(simulated(rows), cpu_seconds, RMSE[simulated(rows)])
    for rows, length in scope.short_series.items():
        yield Series(simulated(rows), CPU_SECONDS_OF_SHORT, settings={"sequenceLength": length})
    if scope.real_series and has_real_series():
        yield Series(SKAB_SHORT, CPU_SECONDS_OF_SHORT)
        for machine in (SKAB_FREE, CAROBD):
            yield Series(machine, CPU_SECONDS, RMSE[machine])
            yield Series(machine, None, ridge_tolerance=RIDGE_TOLERANCE, settings={"output": "Direct"})


def _trainings(found: Sequence[tuple[Series, Measurement]]) -> Table:
    rows = []
    for series, measurement in found:
        values = measurement.values
        errors = (values["rmse_persistence"], values["rmse_ridge"], values["rmse"])
        times = (values["fit_cpu_seconds"], values["fit_seconds"])
        cells = (*_named(series, measurement), *map(thousandths, errors), f"{values['steps']:,}", *map(seconds, times))
        rows.append(Row(cells, series.checks(values)))
    headings = ("series", "settings", "seed", "persistence", "ridge", "RMSE", "steps", "CPU", "wall")
    note = "RMSE of the test part x 1000; compilation is included, import of Keras is not"
    return Table("Training of the gru model", headings, rows, [measurement for _, measurement in found], note)


def _progress(found: Sequence[tuple[Series, Measurement]]) -> Table:
    rows = []
    for series, measurement in found:
        elapsed, epochs = measurement.values["fit_seconds"], measurement.values["epochs"]
        told = {share: told_at(epochs, elapsed * share / 100) * 100 for share in (25, 50, 100)}
        distance = max(abs(each - share) for share, each in told.items())
        cells = (*_named(series, measurement), *(f"{each:.0f} %" for each in told.values()))
        rows.append(Row(cells, [at_most("distance", distance, PROGRESS_POINTS, " points")]))
    headings = ("series", "settings", "seed", "told after 25 %", "after 50 %", "at the end")
    note = "epochs done, in percent of those planned, that a training had told after a part of its time"
    return Table("Progress of a training", headings, rows, (), note)


def _named(series: Series, measurement: Measurement) -> tuple[str, str, str]:
    settings = ", ".join(f"{name} {value}" for name, value in series.settings.items()) or "defaults"
    return series.machine, settings, str(measurement.case.arguments["seed"])


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
