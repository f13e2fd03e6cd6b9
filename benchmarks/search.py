"""The search of the xgb model: scikit-learn's ``GridSearchCV`` against the product's training."""

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.environments import REFERENCE, of_product
from benchmarks.goals import at_most, holds
from benchmarks.measure import Case, Measurement, interleaved, median
from benchmarks.reference import FOLDS, search_xgb
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds
from benchmarks.telemetry import dataset, simulated, spec
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.model import train_xgboost
from trainingjob_trainer.run.device import cpu_threads

SHARE_OF_THE_FASTER = 0.4
_GRIDS = {"processes": {"jobs": -1, "threads": 1}, "threads": {"jobs": 1, "threads": -1}}


class SearchClock(SilentReporter):
    """Stops at the first heartbeat after the last booster, which follows the final fit."""

    def __init__(self) -> None:
        """Starts."""
        self.seconds: float | None = None
        self._began = time.perf_counter()
        self._searched = False

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Notes that the last booster is done."""
        self._searched = epoch == epochs

    def heartbeat(self) -> None:
        """Stops after the search."""
        if self._searched and self.seconds is None:
            self.seconds = time.perf_counter() - self._began


def reference(machine: str, jobs: int, threads: int) -> dict[str, Any]:
    """``GridSearchCV`` with so many processes of so many threads, its final fit included."""
    import sklearn.model_selection  # noqa: F401 - imported before the clock starts
    import xgboost  # noqa: F401

    data = dataset(spec(machine, "xgb"))
    training = data.frame.iloc[: data.test_start].loc[data.usable[: data.test_start]]
    label = training["failure_label"].to_numpy(np.int64)
    began = time.perf_counter()
    found = search_xgb(training[list(data.features)], label, jobs=jobs, threads=threads)
    elapsed = time.perf_counter() - began
    return {
        "search_seconds": elapsed,
        "best": found.best_params_,
        "scores": np.column_stack([found.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)]).tolist(),
        "trees": found.best_estimator_.get_booster().get_dump(),
    }


def product(machine: str) -> dict[str, Any]:
    """The product's training until the final fit is done; its evaluation is not timed."""
    import sklearn.model_selection  # noqa: F401 - imported before the clock starts
    import xgboost

    wanted = spec(machine, "xgb")
    data = dataset(wanted)
    clock = SearchClock()
    trained = train_xgboost(data, wanted, clock, Device("CPU", cpu_threads(os.environ)))
    files = {file.role: file.content for file in trained.files}
    return {
        "search_seconds": clock.seconds,
        "best": trained.metrics["best_params"],
        "scores": [setting["scores"] for setting in json.loads(files["search-json"])],
        "trees": xgboost.Booster(model_file=bytearray(files["model-ubj"])).get_dump(),
    }


def tables(scope: Scope) -> Sequence[Table]:
    """Seconds of 108 fits and the final one, and whether both find the same."""
    rows, measurements = [], []
    for size in scope.sizes:
        machine = simulated(size)
        grids = [Case("search.reference", {"machine": machine, **_GRIDS[grid]}, REFERENCE) for grid in scope.grids]
        *references, product_runs = interleaved(
            scope.repeats, [*grids, Case("search.product", {"machine": machine}, of_product())]
        )
        times = [median(each, "search_seconds") for each in references]
        own = median(product_runs, "search_seconds")
        share = own / min(times)
        agreement = _agreement(references[-1][0].values, product_runs[0].values)
        checks = (
            at_most("% of the faster", share * 100, SHARE_OF_THE_FASTER * 100),
            *(holds(f"same {name}", same) for name, same in agreement.items()),
        )
        rows.append(Row((f"{size:,}", *map(seconds, times), seconds(own), f"{share:.0%}"), checks))
        measurements += [[_without_trees(each) for each in case] for case in (*references, product_runs)]
    headings = ("rows", *(f"grid, {grid}" for grid in scope.grids), "product", "of the faster")
    return [Table("XGBoost search", headings, rows, measurements)]


def _agreement(reference: Mapping[str, Any], product: Mapping[str, Any]) -> Mapping[str, bool]:
    names = {"winner": "best", "scores": "scores", "trees": "trees"}
    return {words: reference[name] == product[name] for words, name in names.items()}


def _without_trees(measurement: Measurement) -> Mapping[str, Any]:
    """A measurement without the text of hundreds of trees."""
    values = {name: value for name, value in measurement.values.items() if name != "trees"}
    return {**vars(measurement), "values": values}
