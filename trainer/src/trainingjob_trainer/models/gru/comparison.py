"""Compares a new GRU with the registered one on the same test windows.

Both are measured against the actual health score of the new model. Where the registered model defines the score by
other ranges, its forecast is a change of its own score; that change is added to the last known score of the new model.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainingjob_api.values import HEALTH_INDICATORS
from trainingjob_trainer.data.arrays import Floats, Integers
from trainingjob_trainer.data.dataset import HealthDataset, HealthScore, TrainedModel
from trainingjob_trainer.data.health import score
from trainingjob_trainer.data.windows import Windows, scaled
from trainingjob_trainer.models.comparison import (
    MINIMUM_FRESH_ROWS,
    Comparison,
    FreshErrors,
    IncomparableError,
    RegisteredModel,
    require_count,
    require_features,
)
from trainingjob_trainer.models.gru.evaluation import MINIMUM_TEST_WINDOWS
from trainingjob_trainer.models.gru.prediction import predict
from trainingjob_trainer.models.gru.saved_model import SavedModel, SavedScaler, read_model, read_scaler
from trainingjob_trainer.models.metrics import regression_metrics, skill

LARGEST_DIFFERENCE = 0.1
"""How far the changes of the two scores may differ, as a share of the registered model's RMSE. A difference of this
size that is independent of the error adds 0.5 % to that RMSE."""


def compare_gru(dataset: HealthDataset, trained: TrainedModel, registered: RegisteredModel) -> Comparison:
    """Evaluate a registered GRU on the test windows of a new one.

    Args:
        dataset: The data of the new model.
        trained: The new model; its ``report`` has the predictions of all test windows.
        registered: The model to compare with. Its features, scaler, window length and health score may differ.

    Raises:
        IncomparableError: It cannot be read, needs other columns, has too few test windows that it was not trained on,
            or defines another health score.
    """
    name, report = registered.address, trained.report
    saved, scaler = _read(registered)
    health = scaler.health_score.definition()
    require_features(registered, (*scaler.features, *(() if health == dataset.health else health.ranges)), dataset)
    rows = np.searchsorted(dataset.timestamps, report["test_timestamps"])
    chosen = _is_comparable(dataset, rows, saved.shape.length, registered.train_end)
    rows = rows[chosen]
    require_count(registered, len(rows), MINIMUM_TEST_WINDOWS, "test windows")
    actual, last = report["actual"][chosen], dataset.persistence_forecast[rows - 1]
    scores = dataset.persistence_forecast if health == dataset.health else score(health, dataset.frame)
    own_last = scores[rows - 1]
    forecast = last + _predict(dataset, rows, saved, scaler) - own_last
    of_registered = regression_metrics(actual, forecast)["rmse"]
    of_new = regression_metrics(actual, report["predicted"][chosen])["rmse"]
    improvement = skill(of_new, of_registered)
    if not math.isfinite(improvement):
        raise IncomparableError(f"the RMSE of {name} is {of_registered:g} and that of this model {of_new:g}")
    difference = regression_metrics(actual - last, scores[rows] - own_last)["rmse"]
    if difference > LARGEST_DIFFERENCE * of_registered:
        raise IncomparableError(
            f"{name} has another health score: {', '.join(_changed_ranges(health, dataset.health))}; set "
            "model.gru.healthRanges, so that the score keeps its meaning from one training to the next"
        )
    return Comparison(improvement, "rmse", of_new, of_registered, len(rows), "test windows")


def gru_fresh_errors(dataset: HealthDataset, registered: RegisteredModel, after: np.datetime64) -> FreshErrors | None:
    """Evaluate a registered GRU on running rows after ``after``, by its own definition of the health score.

    Raises:
        IncomparableError: It cannot be read, or needs columns that the dataset lacks.
    """
    saved, scaler = _read(registered)
    health = scaler.health_score.definition()
    require_features(registered, (*scaler.features, *(() if health == dataset.health else health.ranges)), dataset)
    known = np.isfinite(dataset.frame["health_score"].to_numpy())
    rows = np.flatnonzero(known & dataset.running)
    rows = rows[_is_comparable(dataset, rows, saved.shape.length, after)]
    if len(rows) < MINIMUM_FRESH_ROWS:
        return None
    scores = dataset.persistence_forecast if health == dataset.health else score(health, dataset.frame)
    actual, last = scores[rows], scores[rows - 1]
    of_model = regression_metrics(actual, _predict(dataset, rows, saved, scaler))["rmse"]
    return FreshErrors(of_model, regression_metrics(actual, last)["rmse"], len(rows))


def _read(registered: RegisteredModel) -> tuple[SavedModel, SavedScaler]:
    try:
        saved, scaler = read_model(registered.files["model"]), read_scaler(registered.files["scaler-json"])
        if not len(scaler.features) == len(scaler.scale) == len(scaler.min) == saved.shape.features:
            raise ValueError("its scaler and its network have different numbers of features")
    except ValueError as error:
        raise IncomparableError(f"{registered.address} cannot be read: {error}") from error
    return saved, scaler


def _is_comparable(dataset: HealthDataset, rows: Integers, length: int, train_end: np.datetime64) -> NDArray[np.bool_]:
    """Targets after the registered model's training part that have a whole window of its length in their segment."""
    first = rows - length
    whole = (first >= 0) & (dataset.segments[np.maximum(first, 0)] == dataset.segments[rows])
    comparable: NDArray[np.bool_] = whole & (dataset.timestamps[rows] > train_end)
    return comparable


def _predict(dataset: HealthDataset, rows: Integers, saved: SavedModel, scaler: SavedScaler) -> Floats:
    """The registered model's prediction of its own score in the given rows."""
    length = saved.shape.length
    begin = rows[0] - length
    frame = dataset.frame.iloc[begin:]
    inputs = scaled(frame, scaler.features, scaler.scale, scaler.min)
    unused = np.zeros(len(frame), np.float32)
    no_runs = np.empty((0, 2), np.int64)
    return predict(saved.network, Windows(inputs, unused, unused, length, rows - begin - length, no_runs))


def _changed_ranges(registered: HealthScore, new: HealthScore) -> Iterator[str]:
    def text(health: HealthScore, indicator: str) -> str:
        limits = health.ranges.get(indicator)
        return "a constant" if limits is None else f"{limits[0]:g} to {limits[1]:g}"

    for indicator in HEALTH_INDICATORS:
        before, now = text(registered, indicator), text(new, indicator)
        if before != now:
            yield f"{indicator} {before}, now {now}"
