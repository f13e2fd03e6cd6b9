"""What the GRU is measured against and may lean on: the last known score, the mean, and ridge regression on windows."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.data.dataset import HealthScore
from trainingjob_trainer.data.windows import Windows

Floats = NDArray[np.floating[Any]]

RIDGE_ROWS = 120
"""Last rows of a window that ridge regression reads at most: its cost grows with their square."""

RIDGE_VALUES = 30_000_000
"""Numbers that ridge regression is fitted on at most, from evenly spaced windows: 120 MB."""

CAUTION = 60
"""Validation windows that it takes to be half convinced: with 32 of them, shares were off by half in real series."""


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

    def mixed_with(self, other: "LinearScore", share: float) -> "LinearScore":
        """``share`` of this score and the rest of another one over as many rows."""
        weights = share * self.weights + (1 - share) * other.weights
        return LinearScore(weights, share * self.constant + (1 - share) * other.constant)


def last_score(health: HealthScore, scaler: MinMaxScaler, features: tuple[str, ...]) -> LinearScore:
    """The health score of the last row of a window, as a linear function of its scaled inputs.

    Every indicator with a range must be among the features, which ``prepare_data`` sees to for Residual.
    """
    weights, constant = np.zeros(len(features)), health.constant
    for indicator, (minimum, maximum) in health.ranges.items():
        place = features.index(indicator)
        # MinMaxScaler: scaled = sensor * scale_ + min_.
        weights[place] = 0.25 / (maximum - minimum) / scaler.scale_[place]
        constant -= weights[place] * scaler.min_[place] + 0.25 * minimum / (maximum - minimum)
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
    """The share of ``first`` in the mixture with ``second`` that has the lowest squared error, from 0 to 1.

    It is shrunk towards ``second`` as if ``CAUTION`` more rows spoke for it: a short validation part knows little.
    """
    difference = first.astype(np.float64) - second
    energy = float(difference @ difference) * (1 + CAUTION / len(actual))
    return float(np.clip(difference @ (actual - second) / energy, 0.0, 1.0)) if energy > 0 else 1.0
