"""What the network of a gru learns: the score less a base, standardised."""

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
        base: What the network need not learn; None is 0.
        scale: Units of the score that a standardised 1 stands for.
        offset: What a standardised 0 stands for, beside the base.
        standardised: float32, shape (rows,), NaN where a row is no target of the training windows.
    """

    base: LinearScore | None
    scale: float
    offset: float
    standardised: NDArray[np.float32]


def standardise(training: Windows, base: LinearScore | None) -> Target:
    """Fits mean and standard deviation on the targets of the training windows.

    A target that never moves is left as it is: its scale is 1.
    """
    wanted: NDArray[Any] = training.target - base(training) if base else training.target
    offset, scale = float(np.mean(wanted, dtype=np.float64)), float(np.std(wanted, dtype=np.float64))
    scale = scale if scale > 0 else 1.0
    standardised = np.full(len(training.targets), np.nan, np.float32)
    standardised[training.target_rows] = (wanted - offset) / scale
    return Target(base, scale, offset, standardised)
