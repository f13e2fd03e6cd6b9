"""The target of the network: the score minus a base, standardised."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.models.gru.baselines import LinearScore


@dataclass(frozen=True)
class Target:
    """``score = base + offset + scale * standardised``.

    Attributes:
        base: The base of the score; None is 0.
        scale: Standard deviation of the score minus the base.
        offset: Mean of the score minus the base.
        standardised: float32, shape (rows,), NaN where a row is not a target of the training windows.
    """

    base: LinearScore | None
    scale: float
    offset: float
    standardised: NDArray[np.float32]

    def standardise(self, windows: Windows, score: NDArray[np.float32]) -> NDArray[np.float32]:
        """Scores of windows, shape (windows,), as the network would give them."""
        base = self.base(windows) if self.base else np.float32(0)
        return (score - base - np.float32(self.offset)) / np.float32(self.scale)


def standardise(training: Windows, base: LinearScore | None) -> Target:
    """Fits mean and standard deviation on the targets of the training windows.

    The scale of a constant target is 1.
    """
    wanted: NDArray[Any] = training.target - base(training) if base else training.target
    offset, scale = float(np.mean(wanted, dtype=np.float64)), float(np.std(wanted, dtype=np.float64))
    scale = scale if scale > 0 else 1.0
    standardised = np.full(len(training.targets), np.nan, np.float32)
    standardised[training.target_rows] = (wanted - offset) / scale
    return Target(base, scale, offset, standardised)
