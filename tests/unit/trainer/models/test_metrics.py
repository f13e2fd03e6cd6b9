"""Metrics equal those of scikit-learn; a metric that is undefined is null with a note."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from trainingjob_trainer.models.metrics import regression_metrics, skill, strict_json


def test_regression_metrics_equal_those_of_scikit_learn() -> None:
    actual, predicted = np.random.default_rng(0).random((2, 50)).astype(np.float32)
    metrics = regression_metrics(actual, predicted)
    assert metrics["mae"] == pytest.approx(mean_absolute_error(actual, predicted))
    assert metrics["rmse"] == pytest.approx(root_mean_squared_error(actual, predicted))
    assert metrics["mse"] == pytest.approx(metrics["rmse"] ** 2)
    assert metrics["r2"] == pytest.approx(r2_score(actual, predicted))


def test_undefined_metrics_are_nan() -> None:
    flat = np.full(9, 0.5, np.float32)
    assert math.isnan(regression_metrics(flat, flat + 0.1)["r2"])
    assert math.isnan(regression_metrics(flat[:0], flat[:0])["rmse"])
    assert math.isnan(skill(0.1, 0.0))
    assert skill(0.1, 0.4) == pytest.approx(0.75)


def test_numbers_that_are_not_finite_become_null_and_one_note_names_them() -> None:
    found = {"mae": np.float32(0.5), "r2": math.nan, "curve": [1.0, math.inf], "nested": {"ratio": -math.inf}, "n": 3}
    metrics = json.loads(json.dumps(strict_json(found), allow_nan=False))
    notes = metrics.pop("notes")
    assert metrics == {"mae": 0.5, "r2": None, "curve": [1.0, None], "nested": {"ratio": None}, "n": 3}
    assert notes == ["Without a finite value on this data: r2, curve[1], nested.ratio."]
    assert strict_json({"mae": 0.5}) == {"mae": 0.5}
