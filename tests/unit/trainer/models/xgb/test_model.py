"""A trained xgb model: its files, its metrics, its threshold, and what it refuses."""

import json
import pickle
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray
from xgboost import XGBClassifier

from support.failure_rows import SPEC, prepared_rows
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.metrics import IMPROVEMENT, METRICS
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.evaluation import cautions, classification_metrics, operating_threshold, summary
from trainingjob_trainer.models.xgb.model import train_xgboost

CPU = Device("CPU", threads=2)


def test_files_and_metrics_are_those_of_the_contract() -> None:
    dataset = prepared_rows()
    trained = train_xgboost(dataset, SPEC, SilentReporter(), CPU)
    files = {file.role: file for file in trained.files}
    assert {role: file.suffix for role, file in files.items()} == {
        "model": ".pkl",
        "model-ubj": ".ubj",
        "search-json": ".json",
    }
    classifier = pickle.loads(files["model"].content)
    assert list(classifier.feature_names_in_) == trained.metrics["features_used"] == ["Cool_T", "Bat_V"]
    assert files["model"].content[:2] == b"\x80\x04"
    safe_copy = xgboost.Booster(model_file=bytearray(files["model-ubj"].content))
    test = dataset.frame.iloc[800:][["Cool_T", "Bat_V"]]
    np.testing.assert_array_equal(safe_copy.inplace_predict(test), classifier.predict_proba(test)[:, 1])
    assert json.loads(json.dumps(trained.metrics, allow_nan=False)) == trained.metrics
    wanted = {"features_used", "auc_score", "best_params", "classification_report", "train_size", "test_size"}
    assert wanted | {"failure_events_train", "failure_events_test"} | {
        metric.name for metric in METRICS if metric.model_type == "xgb" and metric.name != IMPROVEMENT
    } <= set(trained.metrics)
    assert (trained.metrics["train_size"], trained.metrics["test_size"]) == (799, 200)
    assert (trained.metrics["failure_events_train"], trained.metrics["failure_events_test"]) == (4, 1)
    assert (trained.metrics["distinct_failures_train"], trained.metrics["distinct_failures_test"]) == (4, 1)
    assert trained.metrics["auc_score"] > 0.8
    assert trained.summary == f"AUC {trained.metrics['auc_score']:.2f}, 1 failure tested, 4 failures trained on"
    assert trained.metrics["classification_report"]["1"]["support"] == 20
    assert trained.metrics["classification_report"]["1"]["recall"] == trained.metrics["recall"]
    assert trained.report["importance"]["Cool_T"] > trained.report["importance"]["Bat_V"]


def test_the_model_does_not_depend_on_the_test_part() -> None:
    dataset = prepared_rows()
    changed = dataset.frame.copy()
    changed.iloc[800:] = np.nan_to_num(changed.iloc[800:] * -1)
    changed.loc[800:, "failure_label"] = 1.0
    files = [
        {file.role: file.content for file in train_xgboost(data, SPEC, SilentReporter(), CPU).files}
        for data in (dataset, replace(dataset, frame=changed))
    ]
    assert files[0]["model-ubj"] == files[1]["model-ubj"]
    assert files[0]["search-json"] == files[1]["search-json"]


@pytest.mark.parametrize(
    ("label", "events", "line"),
    [
        (0.0, 999, "AUC undefined: no failure in the test part"),
        (0.0, 1000, "AUC undefined: no test row before a failure"),
        (1.0, 1000, "AUC undefined: every test row before a failure"),
    ],
)
def test_a_test_part_of_one_class_has_no_auc_and_the_summary_says_why(label: float, events: int, line: str) -> None:
    dataset = prepared_rows(test_start=800)
    one_class = dataset.frame.copy()
    one_class.loc[800:, "failure_label"] = label
    known = dataset.events & (np.arange(1000) < events)
    trained = train_xgboost(replace(dataset, frame=one_class, events=known), SPEC, SilentReporter(), CPU)
    assert trained.metrics["auc_score"] is None
    assert trained.metrics["notes"][-1].startswith("Without a finite value on this data: auc_score")
    assert trained.summary == line
    assert "accuracy" not in trained.metrics


def test_the_summary_reports_too_few_failures() -> None:
    labels = np.array([0, 1], np.int8)
    assert summary(0.934, labels, (5, 5)) == "AUC 0.93"
    assert summary(1.0, labels, (4, 1)) == "AUC 1.00, 1 failure tested, 4 failures trained on"
    assert summary(1.0, labels, (9, 2)) == "AUC 1.00, 2 failures tested"


@pytest.mark.parametrize(
    ("importance", "told"),
    [
        ({"Starts_N": 0.3, "Cool_T": 0.1, "Bat_V": -0.2}, "75% of the importance rests on Starts_N:"),
        ({"Starts_N": 0.1, "Fuel_L": 0.2, "Cool_T": 0.3}, "50% of the importance rests on Starts_N and Fuel_L:"),
        ({"Starts_N": -0.1, "Fuel_L": 0.25, "Cool_T": 0.75}, "25% of the importance rests on Fuel_L:"),
        ({"Fuel_L": 0.24, "Cool_T": 0.76}, None),
        ({"Starts_N": 0.0, "Cool_T": 0.0}, None),
        ({"Cool_T": 0.5}, None),
        ({}, None),
    ],
)
def test_importance_of_columns_that_identify_sessions_is_reported(
    importance: dict[str, float], told: str | None
) -> None:
    sentences = cautions(np.array([0, 1], np.int8), importance)
    assert [sentence.startswith(told or "") for sentence in sentences] == ([True] if told else [])


def test_column_names_that_xgboost_refuses_are_supported() -> None:
    names = ("Oil_P [bar]", 'level<5"', "ölstand, Δ")
    dataset = prepared_rows()
    frame = dataset.frame.assign(extra=np.float32(range(1000)))[["Cool_T", "Bat_V", "extra", "failure_label"]]
    frame.columns = [*names, "failure_label"]
    trained = train_xgboost(replace(dataset, frame=frame, features=names), SPEC, SilentReporter(), CPU)
    files = {file.role: file for file in trained.files}
    classifier = pickle.loads(files["model"].content)
    assert tuple(classifier.feature_names_in_) == tuple(trained.metrics["features_used"]) == names
    assert tuple(trained.report["importance"]) == names
    telemetry = frame.iloc[800:][list(names)]
    np.testing.assert_array_equal(classifier.predict_proba(telemetry)[:, 1], trained.report["probability"])
    assert xgboost.Booster(model_file=bytearray(files["model-ubj"].content)).feature_names == list(names)


def test_column_names_do_not_change_the_model() -> None:
    dataset = prepared_rows()
    expected = XGBClassifier(objective="binary:logistic", n_estimators=5, random_state=42)
    trained = train_xgboost(dataset, SPEC, SilentReporter(), CPU)
    (model,) = (pickle.loads(file.content) for file in trained.files if file.role == "model")
    training = dataset.frame.iloc[:799]
    expected.set_params(**trained.metrics["best_params"], scale_pos_weight=trained.metrics["scale_pos_weight"])
    expected.fit(training[["Cool_T", "Bat_V"]], training["failure_label"].astype(np.int8))
    assert model.get_booster().save_raw("json") == expected.get_booster().save_raw("json")


def test_fewer_positive_rows_than_folds_are_refused_with_their_number() -> None:
    dataset = prepared_rows()
    rare = dataset.frame.copy()
    rare["failure_label"] = 0.0
    rare.loc[[100, 300, 900], "failure_label"] = 1.0
    with pytest.raises(TrainingError, match="2 rows before a failure and 797 others") as refusal:
        train_xgboost(replace(dataset, frame=rare), SPEC, SilentReporter(), CPU)
    assert refusal.value.reason == "SingleClass"


def test_a_gpu_that_xgboost_cannot_use_is_an_error() -> None:
    with pytest.raises(TrainingError, match="trainer-gpu") as refusal:
        train_xgboost(prepared_rows(), SPEC, SilentReporter(), Device("GPU", threads=1))
    assert refusal.value.exit_code is ExitCode.ACCELERATOR_MISSING


def test_a_stopped_search_ends_with_reason_suspended() -> None:
    class Impatient(SilentReporter):
        asked = count()

        def should_stop(self) -> bool:
            return next(self.asked) >= 12

    with pytest.raises(TrainingError) as stop:
        train_xgboost(prepared_rows(), SPEC, Impatient(), CPU)
    assert stop.value.reason == "Suspended"


@pytest.mark.parametrize(
    ("target", "threshold"), [(0.2, 0.9), (0.4, 0.8), (0.6, 0.3), (0.61, 0.2), (0.8, 0.2), (1.0, 0.1), (0.01, 0.9)]
)
def test_the_threshold_is_the_highest_that_reaches_the_target_recall(target: float, threshold: float) -> None:
    labels = np.array([1, 1, 0, 1, 0, 1, 1], np.int8)
    probabilities: NDArray[np.float32] = np.array([0.9, 0.8, 0.7, 0.3, 0.25, 0.2, 0.1], np.float32)
    found = operating_threshold(labels, probabilities, target)
    assert found == pytest.approx(threshold)
    assert classification_metrics(labels, probabilities, found)["recall_at_threshold"] >= target
