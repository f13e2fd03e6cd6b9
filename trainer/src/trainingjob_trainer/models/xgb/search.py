"""The search for the best xgb setting: the winner and the scores of scikit-learn's GridSearchCV for less than half.

Three facts make it cheap. The first n rounds of a booster are the booster of n rounds, so one booster per setting
gives the score of every wanted length. The bins of a fold's rows depend on no setting, so they are made once.
``xgboost.train`` releases the interpreter's lock, so single-threaded boosters side by side keep every core busy.
"""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
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
from trainingjob_trainer.models.xgb.evaluation import DECISION
from trainingjob_trainer.models.xgb.rows import LabelledRows, Labels

_HEARTBEAT_SECONDS = 1.0
_SEARCHED = ("learning_rate", "max_depth", "n_estimators", "subsample")
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
    out_of_fold: NDArray[np.float32]


@dataclass(frozen=True)
class _Fold:
    training: xgboost.QuantileDMatrix
    rows: Rows
    validation: LabelledRows


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
        threads: How many boosters are trained at a time, with one thread each.
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
    out_of_fold: dict[int, NDArray[np.float32]] = {}
    with _workers(threads) as workers:
        folds = list(workers.map(partial(_fold, data), StratifiedKFold(xgb.folds).split(data.features, data.labels)))
        jobs = {
            workers.submit(_train, shape, fold, xgb.search.n_estimators, fixed, reporter): (shape, number)
            for shape in shapes
            for number, fold in enumerate(folds)
        }
        total = len(jobs)
        for done, job in enumerate(as_completed(jobs), start=1):
            shape, number = jobs.pop(job)
            fold = folds[number]
            for length, probabilities in job.result().items():
                index = position[(*shape, length)]
                scores[index, number] = _score(xgb.search.scoring, fold.validation.labels, probabilities)
                out_of_fold.setdefault(index, np.empty(len(data.labels), np.float32))[fold.rows] = probabilities
            beaten = set(np.flatnonzero(~np.isnan(scores).any(axis=1))) - {_first_best(scores)}
            out_of_fold = {index: kept for index, kept in out_of_fold.items() if index not in beaten}
            reporter.epoch(done, total)
    winner = _first_best(scores)
    return SearchResult(settings, scores, settings[winner], out_of_fold[winner])


def _shape(setting: Setting) -> tuple[int, float, float]:
    """What makes a booster of its own: everything but its length."""
    return setting["max_depth"], setting["learning_rate"], setting["subsample"]


def _fold(data: LabelledRows, split: tuple[Rows, Rows]) -> _Fold:
    training, rows = split
    bins = xgboost.QuantileDMatrix(data.features.iloc[training], data.labels[training], nthread=1)
    return _Fold(bins, rows, LabelledRows(data.features.iloc[rows], data.labels[rows]))


def _train(
    shape: tuple[int, float, float],
    fold: _Fold,
    lengths: Sequence[int],
    fixed: Mapping[str, Any],
    reporter: Reporter,
) -> dict[int, NDArray[np.float32]]:
    """Train one booster of the greatest length and predict the fold's validation rows at every length."""
    max_depth, learning_rate, subsample = shape
    booster = xgboost.train(
        {**fixed, "max_depth": max_depth, "learning_rate": learning_rate, "subsample": subsample, "nthread": 1},
        fold.training,
        num_boost_round=max(lengths),
        callbacks=[_EveryRound(reporter)],
    )
    # Rows to predict lie in the machine's memory, also where a GPU trained.
    booster.set_param({"device": "cpu"})
    return {
        length: booster.inplace_predict(fold.validation.features, iteration_range=(0, length), validate_features=False)
        for length in lengths
    }


class _EveryRound(xgboost.callback.TrainingCallback):
    """Sends heartbeats between two rounds, and ends the booster when the process must end."""

    def __init__(self, reporter: Reporter) -> None:
        super().__init__()
        self._reporter = reporter
        self._heartbeat_at = time.monotonic()

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if self._reporter.should_stop():
            raise TrainingError(Reason.SUSPENDED, "Stopped on request; an xgb search starts anew in the next attempt.")
        if time.monotonic() - self._heartbeat_at >= _HEARTBEAT_SECONDS:
            self._heartbeat_at = time.monotonic()
            self._reporter.heartbeat()
        return False


@contextmanager
def _workers(threads: int) -> Iterator[ThreadPoolExecutor]:
    """A pool that drops the work not yet begun as soon as something fails."""
    workers = ThreadPoolExecutor(threads, thread_name_prefix="booster")
    try:
        yield workers
    finally:
        workers.shutdown(wait=True, cancel_futures=True)


def _score(scoring: str, labels: Labels, probabilities: NDArray[np.float32]) -> float:
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
