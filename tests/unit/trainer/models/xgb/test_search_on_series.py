"""The search and the model on simulated and real telemetry against GridSearchCV: scores, probabilities, trees."""

import json
import pickle
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_predict
from xgboost import XGBClassifier

from support.failure_rows import prepared_rows
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.data.dataset import FailureDataset, Telemetry
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.evaluation import operating_threshold
from trainingjob_trainer.models.xgb.model import train_xgboost
from trainingjob_trainer.tools.simulate import simulate

SKAB = Path(__file__).parents[6] / "shared" / "data" / "skab_raw_labels.csv.gz"
GRID = {"n_estimators": [8, 20], "max_depth": [6, 3], "learning_rate": [0.3], "subsample": [0.8, 1.0]}
SEARCH = {"nEstimators": [8, 20], "maxDepth": [6, 3], "learningRate": [0.3], "subsample": [0.8, 1.0]}
SPEC = TrainingJobSpec.model_validate({"machine": "PUMP-1", "model": {"type": "xgb", "xgb": {"search": SEARCH}}})


def simulated_series() -> FailureDataset:
    """Simulated telemetry with its false readings, missing values and a few failures."""
    frames = simulate("PUMP-1", start=datetime(2025, 1, 1, tzinfo=UTC), rows=6000)
    rows = pd.concat(frames).drop_duplicates("timestamp").sort_values("timestamp", ignore_index=True)
    values = rows[list(TELEMETRY_COLUMNS)].astype(np.float32)
    dataset = prepare_data(Telemetry("PUMP-1", rows["timestamp"].to_numpy(), values, "0" * 64), SPEC)
    assert isinstance(dataset, FailureDataset)
    assert dataset.frame.isna().to_numpy().any()
    return dataset


def real_series() -> FailureDataset:
    """Raw sensors of a water pump with labelled anomalies; a tenth of the readings is removed."""
    if not SKAB.exists():
        pytest.skip(f"{SKAB} is not here")
    rows = pd.read_csv(SKAB)
    rows = rows[rows["motor_pump"].isin(["SKAB-OTHER-01", "SKAB-OTHER-02", "SKAB-OTHER-03"])]
    features = [name for name in rows if name not in ("timestamp", "motor_pump", "anomaly", "changepoint")]
    frame = rows[features].astype(np.float32).reset_index(drop=True)
    frame = frame.mask(np.random.default_rng(1).random(frame.shape) < 0.1)
    frame["failure_label"] = rows["anomaly"].to_numpy(np.float32)
    test_start = len(frame) * 4 // 5
    plain = prepared_rows(len(frame), test_start)
    return FailureDataset(**{**vars(plain), "frame": frame, "features": tuple(features)})


@pytest.mark.parametrize("series", [simulated_series, real_series])
def test_search_and_model_are_those_of_grid_search(series: Callable[[], FailureDataset]) -> None:
    dataset = series()
    trained = [train_xgboost(dataset, SPEC, SilentReporter(), Device("CPU", threads)) for threads in (1, 3)]
    files, others = ({file.role: file.content for file in each.files} for each in trained)
    assert files == others

    kept = dataset.usable[: dataset.test_start]
    rows = dataset.frame.iloc[: dataset.test_start].loc[kept]
    features, labels = rows[list(dataset.features)], rows["failure_label"].to_numpy(np.int8)
    weight = float((labels == 0).sum() / (labels == 1).sum())
    assert weight != 1
    classifier = XGBClassifier(objective="binary:logistic", random_state=42, scale_pos_weight=weight, n_jobs=2)
    reference = GridSearchCV(classifier, GRID, scoring="recall", cv=3).fit(features, labels)
    folds = np.column_stack([reference.cv_results_[f"split{fold}_test_score"] for fold in range(3)])
    assert json.loads(files["search-json"]) == [
        {"params": params, "scores": scores}
        for params, scores in zip(reference.cv_results_["params"], folds.tolist(), strict=True)
    ]
    metrics = trained[0].metrics
    assert (metrics["best_params"], metrics["best_score"]) == (reference.best_params_, reference.best_score_)
    model = pickle.loads(files["model"])
    assert model.get_booster().save_raw("json") == reference.best_estimator_.get_booster().save_raw("json")
    classifier.set_params(**reference.best_params_)
    unseen = cross_val_predict(classifier, features, labels, cv=3, method="predict_proba")[:, 1]
    assert metrics["operating_threshold"] == operating_threshold(labels, unseen, metrics["target_recall"])
