"""The search compared with scikit-learn's GridSearchCV on the same data, and what must not change its result."""

import threading
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV, cross_val_predict
from xgboost import XGBClassifier

from trainingjob_api.spec import Search, Xgb
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.rows import LabelledRows
from trainingjob_trainer.models.xgb.search import search_settings

SEARCH = Search(n_estimators=(5, 12), max_depth=(2, 4, 3), learning_rate=(0.3, 0.1), subsample=(0.8, 1.0))
FIXED: dict[str, Any] = {"objective": "binary:logistic", "seed": 42}


def telemetry(seed: int, rows: int, positives: float, missing: float) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """Correlated columns, some of which predict the label, with missing values and repeated values."""
    generator = np.random.default_rng(seed)
    walk = generator.normal(size=(rows, 6)).cumsum(axis=0) * 0.1
    walk[:, 5] = np.round(walk[:, 5])
    score = walk[:, 0] - 0.5 * walk[:, 1] + generator.normal(size=rows)
    labels = (score > np.quantile(score, 1 - positives)).astype(np.int8)
    walk[generator.random(walk.shape) < missing] = np.nan
    return pd.DataFrame(walk.astype(np.float32), columns=[f"sensor_{number}" for number in range(6)]), labels


@pytest.mark.parametrize("scoring", ["recall", "average_precision"])
@pytest.mark.parametrize(
    ("seed", "rows", "positives", "missing", "weighted"),
    [(1, 900, 0.3, 0.0, False), (2, 1500, 0.02, 0.0, True), (3, 1200, 0.1, 0.3, True)],
    ids=["plain", "rare and weighted", "weighted with missing values"],
)
def test_the_search_gives_exactly_the_scores_of_grid_search(
    *, seed: int, rows: int, positives: float, missing: float, weighted: bool, scoring: str
) -> None:
    features, labels = telemetry(seed, rows, positives, missing)
    weight = float((labels == 0).sum() / (labels == 1).sum()) if weighted else 1.0
    search = SEARCH.model_copy(update={"scoring": scoring})
    found = search_settings(
        LabelledRows(features, labels),
        Xgb(search=search),
        FIXED | {"scale_pos_weight": weight},
        threads=2,
        reporter=SilentReporter(),
    )
    classifier = XGBClassifier(objective="binary:logistic", random_state=42, scale_pos_weight=weight, n_jobs=1)
    grid = search.model_dump(include={"n_estimators", "max_depth", "learning_rate", "subsample"})
    reference = GridSearchCV(classifier, grid, scoring=scoring, cv=3).fit(features, labels)
    assert found.settings == reference.cv_results_["params"]
    expected = np.column_stack([reference.cv_results_[f"split{fold}_test_score"] for fold in range(3)])
    np.testing.assert_array_equal(found.scores, expected)
    assert found.best == reference.best_params_
    unseen = cross_val_predict(
        classifier.set_params(**reference.best_params_), features, labels, cv=3, method="predict_proba"
    )
    np.testing.assert_array_equal(found.out_of_fold, unseen[:, 1])


def test_column_names_that_xgboost_refuses_do_not_change_the_search() -> None:
    features, labels = telemetry(4, 400, 0.2, 0.1)
    named = features.set_axis(["Oil_P [bar]", "a]b", "level<5", "f0", "", "\u03b4"], axis="columns")
    search = Search(n_estimators=(3, 6), max_depth=(3,), learning_rate=(0.3,), subsample=(0.8,))
    found, other = (
        search_settings(LabelledRows(frame, labels), Xgb(search=search), FIXED, 2, SilentReporter())
        for frame in (features, named)
    )
    np.testing.assert_array_equal(found.scores, other.scores)
    np.testing.assert_array_equal(found.out_of_fold, other.out_of_fold)


@pytest.mark.parametrize(("device", "most"), [("cpu", 3), ("cuda", 1)])
def test_boosters_share_the_cpu_and_have_a_gpu_for_themselves(device: str, most: int) -> None:
    class Counting(SilentReporter):
        threads: set[int]

        def should_stop(self) -> bool:
            self.threads.add(threading.get_ident())
            return False

    reporter = Counting()
    reporter.threads = set()
    features, labels = telemetry(5, 300, 0.2, 0.0)
    # XGBoost without a GPU trains on the CPU after a warning.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        search_settings(
            LabelledRows(features, labels), Xgb(search=SEARCH), {**FIXED, "device": device, "verbosity": 0}, 3, reporter
        )
    assert 1 <= len(reporter.threads) <= most
