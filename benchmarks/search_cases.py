"""The search of the xgb: ``GridSearchCV`` against one booster for each setting."""

import os
import time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.reference import search_xgb
from benchmarks.telemetry import dataset, spec
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.rows import LabelledRows
from trainingjob_trainer.models.xgb.search import search_settings
from trainingjob_trainer.run.device import cpu_threads


def reference(machine: str, jobs: int, threads: int) -> dict[str, Any]:
    """``GridSearchCV`` with so many processes of so many threads."""
    training = _training(machine)
    began = time.perf_counter()
    found = search_xgb(training.features, training.labels.astype(np.int64), jobs=jobs, threads=threads)
    return {
        "search_seconds": time.perf_counter() - began,
        "best": {name: found.best_params_[name] for name in sorted(found.best_params_)},
        "scores": found.cv_results_["mean_test_score"].tolist(),
    }


def product(machine: str) -> dict[str, Any]:
    """The product's search, and the same refit that ``GridSearchCV`` ends with."""
    from xgboost import XGBClassifier

    training, threads = _training(machine), cpu_threads(os.environ)
    wanted = spec(machine, "xgb")
    negatives, positives = np.bincount(training.labels, minlength=2)
    fixed = {"objective": "binary:logistic", "scale_pos_weight": float(negatives / positives)}
    began = time.perf_counter()
    found = search_settings(training, wanted.model.xgb, {**fixed, "seed": wanted.model.seed}, threads, SilentReporter())
    refitted = XGBClassifier(**fixed, **found.best, random_state=wanted.model.seed, n_jobs=threads)
    refitted.fit(training.features, training.labels)
    return {
        "search_seconds": time.perf_counter() - began,
        "best": {name: found.best[name] for name in sorted(found.best)},
        "scores": np.average(found.scores, axis=1).tolist(),
    }


def _training(machine: str) -> LabelledRows:
    data = dataset(spec(machine, "xgb"))
    rows: pd.DataFrame = data.frame.iloc[: data.test_start].loc[data.usable[: data.test_start]]
    return LabelledRows(rows[list(data.features)], rows["failure_label"].to_numpy(np.int8))
