"""The saved model: an ensemble of the trained network and a ridge regression.

A mixture of the network and a ridge regression on the same windows is still one model of plain layers: the network's
last layer is scaled, and the frozen layer beside it holds the rest. The validation part determines its weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.models.gru.baselines import LinearScore, mixture
from trainingjob_trainer.models.gru.network import Shape, fold, prediction_network, set_skip, set_trained_weights
from trainingjob_trainer.models.gru.prediction import predict, subsample
from trainingjob_trainer.models.gru.target import Target

VALIDATION_WINDOWS = 2048
"""Windows, evenly spaced, that are predicted to validate weights, at most."""


@dataclass(frozen=True)
class Model:
    """A model to save.

    Attributes:
        network: It, ready to predict.
        weights: Of its two GRU layers and its dense one.
        skip: What is added to their output.
        weight: Weight of the network in the prediction; the rest is ridge regression.
    """

    network: keras.Model
    weights: Sequence[Floats]
    skip: LinearScore | None
    weight: float


class Ensemble:
    """Mixes a trained network with a ridge regression, and evaluates the mixture."""

    def __init__(self, shape: Shape, target: Target, ridge: LinearScore | None, validation: Windows) -> None:
        """Predicts the validation part by ridge regression.

        Args:
            shape: Of the network.
            target: What it learns.
            ridge: What it may be mixed with; None mixes nothing.
            validation: Windows to choose the weight and to evaluate on.
        """
        self._target, self._ridge = target, ridge
        self._base = target.base.over(len(ridge.weights)) if target.base and ridge else target.base
        self._network = prediction_network(shape, self._base)
        self._validation, self._checked = validation, subsample(validation, VALIDATION_WINDOWS)
        self._actual = validation.target[self._checked].astype(np.float64)
        self._by_ridge = ridge(validation)[self._checked] if ridge else None

    def validation_loss(self, weights: Sequence[Floats]) -> float:
        """Mean squared error, in units of the score, of the model that these weights would make."""
        return self._judge(weights)[0]

    def model(self, weights: Sequence[Floats]) -> Model:
        """Makes the model of these weights; weights judged later change its network."""
        _, weight = self._judge(weights)
        folded = fold(weights, weight * self._target.scale, weight * self._target.offset)
        set_trained_weights(self._network, folded)
        skip = self._base
        if skip and self._ridge:
            skip = skip.mixed_with(self._ridge, weight)
            set_skip(self._network, skip)
        return Model(self._network, folded, skip, weight)

    def _judge(self, weights: Sequence[Floats]) -> tuple[float, float]:
        """The loss on the validation part, and the weight of the network that gives it."""
        set_trained_weights(self._network, fold(weights, self._target.scale, self._target.offset))
        if self._base:
            set_skip(self._network, self._base)
        predicted = predict(self._network, self._validation, self._checked)
        if self._by_ridge is None or not np.isfinite(predicted).all():
            return float(np.mean((predicted - self._actual) ** 2)), 1.0
        weight = mixture(self._actual, predicted, self._by_ridge)
        mixed = weight * predicted + (1 - weight) * self._by_ridge
        return float(np.mean((mixed - self._actual) ** 2)), weight
