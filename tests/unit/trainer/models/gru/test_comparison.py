"""A registered GRU is read from its safe files and judged on the test windows that it was not trained on."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.data.dataset import HealthDataset, HealthScore, TrainedModel
from trainingjob_trainer.data.health_dataset import prepare_health_dataset
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.models.comparison import IncomparableError, RegisteredModel
from trainingjob_trainer.models.gru.baselines import LinearScore, last_score
from trainingjob_trainer.models.gru.comparison import compare_gru
from trainingjob_trainer.models.gru.export import save_model, save_scaler
from trainingjob_trainer.models.gru.network import Shape, initial_weights, prediction_network, set_trained_weights
from trainingjob_trainer.models.gru.prediction import predict
from trainingjob_trainer.models.gru.saved_model import read_model

ADDRESS = "gru_model_weights_MOTOBOMBA-007_2025_01_01_12_00_00.h5"
LENGTH = 8
ROWS = 1500
GAP = 1350


@pytest.fixture(scope="module")
def dataset() -> HealthDataset:
    """1500 rows, 300 of them to test on, with a gap in the middle of these."""
    seconds = np.arange(ROWS) * 10.0
    seconds[GAP:] += 3600
    return prepare_health_dataset(telemetry(sensors(ROWS), seconds), spec().data, spec().model.gru)


@pytest.fixture(scope="module")
def trained(dataset: HealthDataset) -> TrainedModel:
    """A new model that halves every error of persistence."""
    test = create_sequences(dataset, LENGTH, 0.1).test
    report = {
        "test_timestamps": dataset.timestamps[test.target_rows],
        "actual": test.target,
        "predicted": (test.target + test.last_score) / 2,
    }
    return TrainedModel((), {}, "", report)


def persistence_model(
    dataset: HealthDataset,
    *,
    length: int = LENGTH,
    features: tuple[str, ...] | None = None,
    health: HealthScore | None = None,
    train_end: int = 1199,
    **files: bytes,
) -> RegisteredModel:
    """A registered model that predicts the last value of its own score, with a scaler of its own."""
    features, health = features or dataset.features, health or dataset.health
    scaler = MinMaxScaler().fit(dataset.frame[list(features)].iloc[200:700].astype(np.float64))
    shape = Shape(length, len(features), (4, 3), 0.2)
    weights = [np.zeros_like(array) for array in initial_weights(shape, seed=1)]
    saved = {
        "model": save_model(shape, weights, last_score(health, scaler, features)).content,
        "scaler-json": save_scaler(scaler, health)[1].content,
    }
    registered_at = datetime(2025, 1, 1, 12, tzinfo=UTC)
    return RegisteredModel(ADDRESS, registered_at, dataset.timestamps[train_end], saved | files)


def with_ranges(health: HealthScore, factor: float) -> HealthScore:
    """The same score with one range scaled."""
    low, high = health.ranges["Oil_P"]
    return HealthScore({**health.ranges, "Oil_P": (low, low + factor * (high - low))}, health.constant, health.neutral)


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({}, 300 - 2 * LENGTH),
        ({"length": 20}, 300 - LENGTH - 20),
        ({"length": 5}, 300 - 2 * LENGTH),
        ({"features": ("Succao", "Recalque", "Oil_L", "Oil_P")}, 300 - 2 * LENGTH),
        ({"train_end": 1299}, 200 - LENGTH),
    ],
    ids=["equal", "longer windows", "shorter windows", "fewer features", "later data"],
)
def test_both_models_are_measured_on_the_same_windows(
    dataset: HealthDataset, trained: TrainedModel, changes: Mapping[str, Any], count: int
) -> None:
    found = compare_gru(dataset, trained, persistence_model(dataset, **changes))
    assert found.improvement == pytest.approx(0.5, abs=1e-5)
    assert found.new == pytest.approx(found.registered / 2, rel=1e-5)
    assert (found.metric, found.unit, found.count) == ("rmse", "test windows", count)


def test_a_slightly_different_health_score_is_measured_against_the_new_one(
    dataset: HealthDataset, trained: TrainedModel
) -> None:
    other = persistence_model(dataset, health=with_ranges(dataset.health, 1.1))
    assert compare_gru(dataset, trained, other).improvement == pytest.approx(0.5, abs=1e-5)


def test_a_very_different_health_score_is_not_compared(dataset: HealthDataset, trained: TrainedModel) -> None:
    other = persistence_model(dataset, health=with_ranges(dataset.health, 2.0))
    with pytest.raises(IncomparableError, match=r"another health score: Oil_P \d+\.\d+ to .* now .*healthRanges"):
        compare_gru(dataset, trained, other)


def test_too_few_windows_after_the_training_part_are_not_compared(
    dataset: HealthDataset, trained: TrainedModel
) -> None:
    with pytest.raises(IncomparableError, match=r"trained on data until 2025-01-01T04:53:20Z; .* 99 test windows"):
        compare_gru(dataset, trained, persistence_model(dataset, train_end=1400))


def test_a_column_that_the_new_model_does_not_use_is_named_with_the_reason(trained: TrainedModel) -> None:
    readings = sensors(ROWS)
    before = prepare_health_dataset(telemetry(readings), spec().data, spec().model.gru)
    registered = persistence_model(before)
    constant = prepare_health_dataset(
        telemetry({**readings, "Cool_T": np.full(ROWS, 80.0)}), spec().data, spec().model.gru
    )
    with pytest.raises(IncomparableError, match=r"Cool_T \(constant in the training part \(80\)\)"):
        compare_gru(constant, trained, registered)
    chosen = spec(features=["Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM", "Cool_T"])
    without = prepare_health_dataset(telemetry(readings), chosen.data, chosen.model.gru)
    with pytest.raises(IncomparableError, match=r"Bat_V \(not among the features\)"):
        compare_gru(without, trained, registered)


def test_predictions_that_are_not_finite_are_not_compared(dataset: HealthDataset, trained: TrainedModel) -> None:
    with h5py.File(stream := io.BytesIO(persistence_model(dataset).files["model"]), "r+") as file:
        file["model_weights/skip/skip/kernel:0"][:] = np.nan
    broken = persistence_model(dataset, model=stream.getvalue())
    with pytest.raises(IncomparableError, match=f"the RMSE of {ADDRESS} is nan"):
        compare_gru(dataset, trained, broken)


def _changed_config(content: bytes, change: Any) -> bytes:
    with h5py.File(stream := io.BytesIO(content), "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)
    return stream.getvalue()


def _without_weights(content: bytes) -> bytes:
    with h5py.File(stream := io.BytesIO(content), "r+") as file:
        del file["model_weights/gru"]
    return stream.getvalue()


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda content: b"no file at all", "not a valid .h5 file"),
        (lambda content: content[: len(content) // 2], "not a valid .h5 file"),
        (_without_weights, "not a valid .h5 file"),
        (
            lambda content: _changed_config(
                content, lambda layers: layers.append({"class_name": "Lambda", "name": "code", "config": {}})
            ),
            "its network is not one that this trainer saves",
        ),
        (
            lambda content: _changed_config(content, lambda layers: layers[1]["config"].update(units=7)),
            "cannot be read",
        ),
        (lambda content: _changed_config(content, lambda layers: layers.clear()), "not a valid .h5 file"),
    ],
    ids=["text", "half", "no weights", "a layer that runs code", "other sizes", "no layers"],
)
def test_a_damaged_or_foreign_network_is_refused(
    dataset: HealthDataset, trained: TrainedModel, damage: Any, cause: str
) -> None:
    damaged = persistence_model(dataset, model=damage(persistence_model(dataset).files["model"]))
    with pytest.raises(IncomparableError, match=f"{ADDRESS} cannot be read: .*") as refusal:
        compare_gru(dataset, trained, damaged)
    assert cause in str(refusal.value)


@pytest.mark.parametrize(
    "change",
    [{"scale": [1.0]}, {"features": ["Oil_P"]}, {"health_score": {}}, {"min": [float("nan")] * 7}, {"scale": "1"}],
    ids=str,
)
def test_a_damaged_scaler_is_refused(dataset: HealthDataset, trained: TrainedModel, change: dict[str, Any]) -> None:
    scaler = json.loads(persistence_model(dataset).files["scaler-json"]) | change
    damaged = persistence_model(dataset, **{"scaler-json": json.dumps(scaler).encode()})
    with pytest.raises(IncomparableError, match=f"{ADDRESS} cannot be read"):
        compare_gru(dataset, trained, damaged)


@pytest.mark.parametrize("skip", [None, LinearScore(np.random.default_rng(0).normal(size=(3, 7)), 0.2)])
def test_a_saved_network_is_read_back_with_equal_predictions(dataset: HealthDataset, skip: LinearScore | None) -> None:
    test = create_sequences(dataset, LENGTH, 0.1).test
    shape = Shape(LENGTH, 7, (4, 3), 0.2)
    weights = initial_weights(shape, seed=3)
    network = prediction_network(shape, skip)
    set_trained_weights(network, weights)
    read = read_model(save_model(shape, weights, skip).content)
    assert read.shape == shape
    np.testing.assert_array_equal(predict(read.network, test), predict(network, test))
