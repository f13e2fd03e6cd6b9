"""Predictions of a gru model from exact windows, and what they say about its features."""

from collections.abc import Callable, Sequence, Sized
from typing import Any, Protocol

import numpy as np

from trainingjob_trainer.data.arrays import Floats, Integers
from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.models.gru.network import computes_on_gpu
from trainingjob_trainer.models.metrics import regression_metrics

BATCH, BATCH_ON_GPU = 64, 2048
"""Windows that are predicted at once: few, because a batch with fewer windows is filled up; a GPU takes
little longer for many windows than for few."""

IMPORTANCE_WINDOWS = 256
"""Windows, evenly spaced, that the importance of features is measured on at most."""


class Model(Protocol):
    """What of a Keras model predictions need."""

    def predict_on_batch(self, x: Floats) -> Any:
        """Scores of shape (windows, 1) for windows of shape (windows, length, features)."""
        ...


def subsample(windows: Sized, at_most: int) -> Integers:
    """Positions of evenly spaced windows or chunks, all of them where there are not too many."""
    return np.linspace(0, len(windows) - 1, min(len(windows), at_most)).round().astype(np.int64)


def predict(model: Model, windows: Windows, which: Integers | None = None) -> Floats:
    """The predicted score of the chosen windows, shape (windows,).

    Windows are gathered batch by batch, and every batch has one shape, so that the model is compiled once.
    """
    chosen = np.arange(len(windows)) if which is None else which
    return _predict_batches(model, len(chosen), lambda positions: windows.gather(chosen[positions])[0])


def permutation_importance(model: Model, windows: Windows, features: Sequence[str], seed: int) -> dict[str, float]:
    """By how much the RMSE rises when one feature comes from other windows, by feature.

    scikit-learn's ``permutation_importance`` permutes columns of a table; here a feature of a window is a sequence.
    """
    chosen = subsample(windows, IMPORTANCE_WINDOWS)
    actual = windows.target[chosen]
    usual = regression_metrics(actual, predict(model, windows, chosen))["rmse"]
    other = np.random.default_rng(seed).permutation(chosen)
    importance = {}
    for column, feature in enumerate(features):

        def exchanged(positions: Integers, column: int = column) -> Floats:
            inputs, _ = windows.gather(chosen[positions])
            inputs[..., column] = windows.gather(other[positions])[0][..., column]
            return inputs

        predicted = _predict_batches(model, len(chosen), exchanged)
        importance[feature] = regression_metrics(actual, predicted)["rmse"] - usual
    return importance


def _predict_batches(model: Model, count: int, gather: Callable[[Integers], Floats]) -> Floats:
    scores = np.empty(count, np.float32)
    batch = BATCH_ON_GPU if computes_on_gpu() else BATCH
    for first in range(0, count, batch):
        positions = np.minimum(np.arange(first, first + batch), count - 1)
        scores[first : first + batch] = np.asarray(model.predict_on_batch(gather(positions)))[: count - first, 0]
    return scores
