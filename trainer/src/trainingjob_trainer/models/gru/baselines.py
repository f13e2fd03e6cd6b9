"""Baselines of the GRU: persistence, and ridge regression on windows, which can be part of the ensemble."""

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthScore
from trainingjob_trainer.data.windows import Windows

RIDGE_ROWS = 120
"""Last rows of a window that ridge regression reads at most: its cost grows with their square."""

RIDGE_VALUES = 30_000_000
"""Maximum number of values to fit ridge regression on, from evenly spaced windows: 120 MB."""

SHRINKAGE = 60
"""Number of validation windows at which a fitted weight is shrunk to half. With only 32 windows, fitted weights were
wrong by half in real series."""


@dataclass(frozen=True)
class LinearScore:
    """A score as a linear function of the last rows of a window of scaled inputs.

    Attributes:
        weights: Shape (rows, features), oldest row first.
        constant: Added to it.
    """

    weights: Floats
    constant: float

    def __call__(self, windows: Windows) -> NDArray[np.float32]:
        """The score that it gives the target of each window, shape (windows,)."""
        total = np.full(len(windows), self.constant, np.float32)
        for age, weights in enumerate(self.weights[::-1], start=1):
            total += (windows.inputs @ weights.astype(np.float32))[windows.target_rows - age]
        return total

    def as_dense(self) -> list[NDArray[np.float32]]:
        """Kernel and bias of a dense layer over the flattened rows."""
        return [self.weights.reshape(-1, 1).astype(np.float32), np.array([self.constant], np.float32)]

    def over(self, rows: int) -> "LinearScore":
        """The same score, written over more rows."""
        missing = rows - len(self.weights)
        return LinearScore(np.pad(self.weights, ((missing, 0), (0, 0))), self.constant)

    def mixed_with(self, other: "LinearScore", weight: float) -> "LinearScore":
        """``weight`` of this score and the rest of another one over as many rows."""
        weights = weight * self.weights + (1 - weight) * other.weights
        return LinearScore(weights, weight * self.constant + (1 - weight) * other.constant)


def last_score(health: HealthScore, scaler: MinMaxScaler, features: tuple[str, ...]) -> LinearScore:
    """The health score of the last row of a window, as a linear function of its scaled inputs.

    Every indicator with a range must be among the features, which ``prepare_data`` sees to for Residual.
    """
    weights, constant = np.zeros(len(features)), health.constant
    for indicator, (minimum, maximum) in health.ranges.items():
        column = features.index(indicator)
        # MinMaxScaler: scaled = sensor * scale_ + min_.
        weights[column] = 0.25 / (maximum - minimum) / scaler.scale_[column]
        constant -= weights[column] * scaler.min_[column] + 0.25 * minimum / (maximum - minimum)
    return LinearScore(weights[None, :], constant)


def fit_ridge(windows: Windows) -> LinearScore:
    """Ridge regression from the flattened windows to the score, with scikit-learn's default strength."""
    rows = min(windows.length, RIDGE_ROWS)
    ends = replace(windows, length=rows, starts=windows.starts + windows.length - rows)
    at_most = max(1, RIDGE_VALUES // (rows * windows.inputs.shape[1]))
    inputs, score = ends.gather(slice(None, None, math.ceil(len(windows) / at_most)))
    fitted = Ridge().fit(inputs.reshape(len(inputs), -1), score)
    return LinearScore(fitted.coef_.reshape(rows, -1), float(fitted.intercept_))


def mixture(actual: Floats, first: Floats, second: Floats) -> float:
    """The weight of ``first`` in the mixture with ``second`` that has the lowest squared error, from 0 to 1.

    It is shrunk towards ``second`` as if ``SHRINKAGE`` more rows supported ``second``, since a short validation part
    gives an uncertain weight.
    """
    difference = first.astype(np.float64) - second
    energy = float(difference @ difference) * (1 + SHRINKAGE / len(actual))
    return float(np.clip(difference @ (actual - second) / energy, 0.0, 1.0)) if energy > 0 else 1.0


def network_weight(actual: Floats, by_network: Floats, by_ridge: Floats, *, trust_network: bool) -> float:
    """The weight of the network in the mixture with ridge regression.

    Args:
        actual: Scores of the validation part.
        by_network: Their prediction by the network.
        by_ridge: That by ridge regression.
        trust_network: Whether a short validation part speaks for the network, which has learned from many machines,
            and not for ridge regression.
    """
    if trust_network:
        return 1 - mixture(actual, by_ridge, by_network) if np.any(by_ridge != by_network) else 1.0
    return mixture(actual, by_network, by_ridge)
