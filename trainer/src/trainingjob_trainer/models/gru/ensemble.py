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
from trainingjob_trainer.models.gru.baselines import LinearScore, network_weight
from trainingjob_trainer.models.gru.network import Shape, fold, set_skip, set_trained_weights, shared_prediction_network
from trainingjob_trainer.models.gru.prediction import predict, subsample
from trainingjob_trainer.models.gru.target import Target

MIXTURE_WINDOWS = 1024
"""Windows, evenly spaced, that are predicted to determine the weight of the network, at most."""


@dataclass(frozen=True)
class Model:
    """A model to save.

    Attributes:
        network: It, ready to predict until another model of the same shape is made.
        weights: Of its two GRU layers and its dense one.
        skip: What is added to their output.
        weight: Weight of the network in the prediction; the rest is ridge regression.
    """

    network: keras.Model
    weights: Sequence[Floats]
    skip: LinearScore | None
    weight: float


class Ensemble:
    """Mixes a trained network with a ridge regression."""

    def __init__(
        self,
        shape: Shape,
        target: Target,
        ridge: LinearScore | None,
        validation: Windows,
        *,
        trust_network: bool = False,
    ) -> None:
        """Builds the network that predicts from windows.

        Args:
            shape: Of the network.
            target: What it learns.
            ridge: What it may be mixed with; None mixes nothing.
            validation: Windows to determine the weight on.
            trust_network: See ``baselines.network_weight``.
        """
        self._target, self._ridge, self._trust_network = target, ridge, trust_network
        self._base = target.base.over(len(ridge.weights)) if target.base and ridge else target.base
        self._network = shared_prediction_network(shape, self._base)
        self._validation = validation

    def model(self, weights: Sequence[Floats]) -> Model:
        """Makes the model of these weights."""
        weight = self._weight(weights)
        folded = fold(weights, weight * self._target.scale, weight * self._target.offset)
        set_trained_weights(self._network, folded)
        skip = self._base
        if skip and self._ridge:
            skip = skip.mixed_with(self._ridge, weight)
            set_skip(self._network, skip)
        return Model(self._network, folded, skip, weight)

    def _weight(self, weights: Sequence[Floats]) -> float:
        """The weight of the network that gives the lowest error on the validation part."""
        if self._ridge is None:
            return 1.0
        set_trained_weights(self._network, fold(weights, self._target.scale, self._target.offset))
        chosen = subsample(self._validation, MIXTURE_WINDOWS)
        predicted = predict(self._network, self._validation, chosen)
        actual = self._validation.target[chosen].astype(np.float64)
        by_ridge = self._ridge(self._validation)[chosen]
        return network_weight(actual, predicted, by_ridge, trust_network=self._trust_network)
