"""A trained xgb model: its files, its metrics, its threshold, and what it refuses."""

import json
import pickle
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import xgboost
from numpy.typing import NDArray

from trainingjob_trainer.accelerator import Device
from trainingjob_trainer.errors import ExitCode, TrainingError
from trainingjob_trainer.reporter import SilentReporter
from trainingjob_trainer.spec_types import GATE_METRICS
from trainingjob_trainer.xgb import train_xgboost
from trainingjob_trainer.xgb_evaluate import classification_metrics, operating_threshold
from unit.xgb.rows import SPEC, prepared_rows

CPU = Device("CPU", threads=2)


def test_files_and_metrics_are_those_of_the_contract() -> None:
    prepared = prepared_rows()
    trained = train_xgboost(prepared, SPEC, SilentReporter(), CPU)
    files = {file.role: file for file in trained.files}
    assert {role: file.suffix for role, file in files.items()} == {
        "model": ".pkl",
        "model-ubj": ".ubj",
        "search-json": ".json",
    }
    classifier = pickle.loads(files["model"].content)
    assert list(classifier.feature_names_in_) == trained.metrics["features_used"] == ["Cool_T", "Bat_V"]
    assert files["model"].content[:2] == b"\x80\x04"
    twin = xgboost.Booster(model_file=bytearray(files["model-ubj"].content))
    test = prepared.frame.iloc[800:][["Cool_T", "Bat_V"]]
    np.testing.assert_array_equal(twin.inplace_predict(test), classifier.predict_proba(test)[:, 1])
    assert json.loads(json.dumps(trained.metrics, allow_nan=False)) == trained.metrics
    wanted = {"features_used", "auc_score", "best_params", "classification_report", "train_size", "test_size"}
    assert wanted | {"failure_events_train", "failure_events_test"} | set(GATE_METRICS["xgb"]) <= set(trained.metrics)
    assert (trained.metrics["train_size"], trained.metrics["test_size"]) == (799, 200)
    assert (trained.metrics["failure_events_train"], trained.metrics["failure_events_test"]) == (4, 1)
    assert trained.metrics["auc_score"] > 0.8
    assert trained.metrics["classification_report"]["1"]["support"] == 20
    assert trained.metrics["classification_report"]["1"]["recall"] == trained.metrics["recall"]
    assert trained.report["importance"]["Cool_T"] > trained.report["importance"]["Bat_V"]


def test_nothing_of_the_test_part_reaches_the_model() -> None:
    prepared = prepared_rows()
    changed = prepared.frame.copy()
    changed.iloc[800:] = np.nan_to_num(changed.iloc[800:] * -1)
    changed.loc[800:, "failure_label"] = 1.0
    files = [
        {file.role: file.content for file in train_xgboost(data, SPEC, SilentReporter(), CPU).files}
        for data in (prepared, replace(prepared, frame=changed))
    ]
    assert files[0]["model-ubj"] == files[1]["model-ubj"]
    assert files[0]["search-json"] == files[1]["search-json"]


def test_a_test_part_of_one_class_has_no_auc_and_a_note_says_so() -> None:
    prepared = prepared_rows(border=800)
    quiet = prepared.frame.copy()
    quiet.loc[800:, "failure_label"] = 0.0
    trained = train_xgboost(replace(prepared, frame=quiet), SPEC, SilentReporter(), CPU)
    assert trained.metrics["auc_score"] is None
    assert trained.metrics["recall_at_threshold"] is None
    assert any("auc_score" in note for note in trained.metrics["notes"])
    assert trained.summary == "AUC undefined"


def test_fewer_positive_rows_than_folds_are_refused_with_their_number() -> None:
    prepared = prepared_rows()
    rare = prepared.frame.copy()
    rare["failure_label"] = 0.0
    rare.loc[[100, 300, 900], "failure_label"] = 1.0
    with pytest.raises(TrainingError, match="2 rows before a failure and 797 others") as refusal:
        train_xgboost(replace(prepared, frame=rare), SPEC, SilentReporter(), CPU)
    assert refusal.value.reason == "SingleClass"


def test_a_gpu_that_xgboost_cannot_use_is_never_replaced_in_silence() -> None:
    with pytest.raises(TrainingError, match="trainer-gpu") as refusal:
        train_xgboost(prepared_rows(), SPEC, SilentReporter(), Device("GPU", threads=1))
    assert refusal.value.exit_code is ExitCode.ACCELERATOR_MISSING


def test_a_search_asked_to_stop_ends_as_suspended() -> None:
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
def test_the_threshold_is_the_highest_that_reaches_the_wanted_recall(target: float, threshold: float) -> None:
    labels = np.array([1, 1, 0, 1, 0, 1, 1], np.int8)
    probabilities: NDArray[np.float32] = np.array([0.9, 0.8, 0.7, 0.3, 0.25, 0.2, 0.1], np.float32)
    found = operating_threshold(labels, probabilities, target)
    assert found == pytest.approx(threshold)
    assert classification_metrics(labels, probabilities, found)["recall_at_threshold"] >= target
