"""The search for the best xgb setting: the winner and the scores of scikit-learn's GridSearchCV for less than half.

Four facts make it cheap. The first n rounds of a booster are the booster of n rounds, so one booster per setting
gives the score of every wanted length, and a booster that predicts the same rows again adds only its new trees. The
bins of a fold's rows depend on no setting, so they are made once. XGBoost releases the interpreter's lock, so
single-threaded boosters side by side keep every core busy.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import xgboost
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from sklearn.model_selection import ParameterGrid, StratifiedKFold

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Xgb
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.xgb.evaluation import DECISION, Probabilities
from trainingjob_trainer.models.xgb.rows import LabelledRows, Labels

_HEARTBEAT_SECONDS = 1.0
_SEARCHED = ("learning_rate", "max_depth", "n_estimators", "subsample")
Features = NDArray[np.float32]
Rows = NDArray[np.intp]
Setting = Mapping[str, Any]


@dataclass(frozen=True)
class SearchResult:
    """What a search found.

    Attributes:
        settings: Every setting, in the order of scikit-learn's ``ParameterGrid``.
        scores: Shape (settings, folds): score of each setting on the validation rows of each fold.
        best: The setting with the highest mean score; of equals the first.
        out_of_fold: Shape (rows,): probability of each row by the best setting's booster that has not seen it.
    """

    settings: Sequence[Setting]
    scores: NDArray[np.float64]
    best: Setting
    out_of_fold: Probabilities


@dataclass(frozen=True)
class _Fold:
    training: xgboost.QuantileDMatrix
    validation: xgboost.DMatrix
    rows: Rows


def computes_on(device: str) -> str:
    """What XGBoost computes on when it is asked for a device: cpu, also where it was asked for a GPU it cannot use."""
    row = xgboost.DMatrix(np.zeros((1, 1)), np.zeros(1))
    booster = xgboost.train({"device": device, "verbosity": 0}, row, num_boost_round=1)
    return str(json.loads(booster.save_config())["learner"]["generic_param"]["device"])


def search_settings(
    data: LabelledRows, xgb: Xgb, fixed: Mapping[str, Any], threads: int, reporter: Reporter
) -> SearchResult:
    """Try every setting on stratified folds that are not shuffled, as ``GridSearchCV(cv=folds)`` does.

    Args:
        data: The training part.
        xgb: The settings, the score to choose by and the number of folds.
        fixed: What all boosters have in common, by the names of XGBoost's parameters.
        threads: How many boosters are trained at a time, with one thread each; on a GPU one at a time.
        reporter: Receives every booster, and says whether to stop.

    Returns:
        The settings with their scores and the winner.

    Raises:
        TrainingError: Suspended, when the reporter was asked to stop.
    """
    settings = list(ParameterGrid({name: getattr(xgb.search, name) for name in _SEARCHED}))
    position = {(*_shape(setting), setting["n_estimators"]): index for index, setting in enumerate(settings)}
    # The deepest trees take longest: begun last they would leave the other threads idle at the end.
    shapes = sorted({_shape(setting) for setting in settings}, key=lambda shape: (-shape[0], shape))
    scores = np.full((len(settings), xgb.folds), np.nan)
    out_of_fold: dict[int, Probabilities] = {}
    # Without the names of the columns: XGBoost refuses some names, and compares all of them in every round.
    features = data.features.to_numpy(np.float32)
    # XGBoost copies a matrix to the GPU at its first use, which is not safe from several threads.
    with _workers(threads if fixed.get("device", "cpu") == "cpu" else 1) as workers:
        # The folds are first in the queue: a booster that waits for its fold waits for a thread that makes it.
        folds = [
            workers.submit(_fold, features, data.labels, split)
            for split in StratifiedKFold(xgb.folds).split(features, data.labels)
        ]
        jobs = {
            workers.submit(_train, shape, fold, xgb.search.n_estimators, fixed, reporter): (shape, number)
            for shape in shapes
            for number, fold in enumerate(folds)
        }
        total = len(jobs)
        for done, job in enumerate(as_completed(jobs), start=1):
            shape, number = jobs.pop(job)
            rows = folds[number].result().rows
            for length, probabilities in job.result().items():
                index = position[(*shape, length)]
                scores[index, number] = _score(xgb.search.scoring, data.labels[rows], probabilities)
                out_of_fold.setdefault(index, np.empty(len(data.labels), np.float32))[rows] = probabilities
            beaten = set(np.flatnonzero(~np.isnan(scores).any(axis=1))) - {_first_best(scores)}
            out_of_fold = {index: kept for index, kept in out_of_fold.items() if index not in beaten}
            reporter.epoch(done, total)
    winner = _first_best(scores)
    return SearchResult(settings, scores, settings[winner], out_of_fold[winner])


def _shape(setting: Setting) -> tuple[int, float, float]:
    """What makes a booster of its own: everything but its length."""
    return setting["max_depth"], setting["learning_rate"], setting["subsample"]


def _fold(features: Features, labels: Labels, split: tuple[Rows, Rows]) -> _Fold:
    training, rows = split
    return _Fold(
        xgboost.QuantileDMatrix(features[training], labels[training], nthread=1),
        xgboost.DMatrix(features[rows], nthread=1),
        rows,
    )


def _train(
    shape: tuple[int, float, float],
    fold: Future[_Fold],
    lengths: Sequence[int],
    fixed: Mapping[str, Any],
    reporter: Reporter,
) -> dict[int, Probabilities]:
    """Train one booster of the greatest length and predict the fold's validation rows at every length."""
    max_depth, learning_rate, subsample = shape
    training, validation = fold.result().training, fold.result().validation
    booster = xgboost.Booster(
        {**fixed, "max_depth": max_depth, "learning_rate": learning_rate, "subsample": subsample, "nthread": 1},
        [training],
    )
    found = {}
    heartbeat_at = time.monotonic()
    # Not xgboost.train: in a fast round its callbacks and its evaluation of no data are a noticeable part.
    for length in range(1, max(lengths) + 1):
        booster.update(training, length - 1)
        if length in lengths:
            found[length] = booster.predict(validation)
        if reporter.should_stop():
            raise TrainingError(Reason.SUSPENDED, "Stopped on request; an xgb search starts anew in the next attempt.")
        if time.monotonic() - heartbeat_at >= _HEARTBEAT_SECONDS:
            heartbeat_at = time.monotonic()
            reporter.heartbeat()
    return found


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops the work not yet begun as soon as something fails."""
    workers = ThreadPoolExecutor(threads, thread_name_prefix="booster")
    try:
        yield workers
    finally:
        workers.shutdown(wait=True, cancel_futures=True)


def _score(scoring: str, labels: Labels, probabilities: Probabilities) -> float:
    """The score as scikit-learn's scorers of these names give it."""
    positives = labels == 1
    if not positives.any():
        return 0.0
    if scoring == "average_precision":
        return float(average_precision_score(labels, probabilities))
    return float(np.count_nonzero(probabilities[positives] > DECISION) / np.count_nonzero(positives))


def _first_best(scores: NDArray[np.float64]) -> int:
    """The first of the settings with the highest mean; settings not scored on every fold do not count."""
    means = np.average(scores, axis=1)
    return int(np.argmax(np.where(np.isnan(means), -np.inf, means)))
