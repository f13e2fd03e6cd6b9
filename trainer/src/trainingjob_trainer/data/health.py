"""The health score: a linear function of the indicators, fitted on the training part and applied to every row."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_api.values import HEALTH_INDICATORS, Range
from trainingjob_trainer.data.dataset import HealthScore
from trainingjob_trainer.errors import TrainingError

WEIGHT = 0.25
"""Weight of each indicator: lubrication and hydraulics are half of the score each, and have two indicators each."""
NEUTRAL_LEVEL = 0.5


def fit_health_score(machine: str, training: pd.DataFrame, fixed: Mapping[str, Range]) -> HealthScore:
    """Fit the health score on the training part; an indicator without any value counts as 0.5.

    Args:
        machine: Name of the machine, for error messages.
        training: The cleaned rows of the training part, missing values not filled.
        fixed: Ranges from the spec, used instead of the fitted ones.

    Raises:
        TrainingError: InsufficientData when no indicator varies, so that the score is constant.
    """
    ranges: dict[str, tuple[float, float]] = {}
    constant = 0.0
    missing, unvarying = [], []
    for name in HEALTH_INDICATORS:
        values = training[name].to_numpy() if name in training else np.empty(0, np.float32)
        values = values[np.isfinite(values)]
        if not values.size:
            missing.append(name)
            constant += WEIGHT * NEUTRAL_LEVEL
            continue
        low, high = float(values.min()), float(values.max())
        span = (fixed[name].min, fixed[name].max) if name in fixed else (low, high)
        if low < high:
            ranges[name] = span
            continue
        unvarying.append(name)
        level = (low - span[0]) / (span[1] - span[0]) if name in fixed else NEUTRAL_LEVEL
        constant += WEIGHT * level
    if not ranges:
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"machine {machine}: the health score is constant in the training part. Of the indicators "
            f"{', '.join(HEALTH_INDICATORS)}, these have no value: {', '.join(missing) or 'none'}; these are constant: "
            f"{', '.join(unvarying) or 'none'}. Choose a longer period, or set other columns in data.columns.",
        )
    return HealthScore(ranges, constant, tuple(name for name in HEALTH_INDICATORS if name not in ranges))


def score(health: HealthScore, values: pd.DataFrame) -> NDArray[np.float32]:
    """The health score of each row, NaN where an indicator with a range is missing.

    Args:
        health: The fitted score.
        values: A column for each of ``health.ranges``, in the units of the sensor.

    Returns:
        float32, shape (rows,); between 0 and 1 on the rows that the ranges were fitted on, not clipped elsewhere.
    """
    total = np.full(len(values), health.constant)
    for name, (low, high) in health.ranges.items():
        total += WEIGHT * (values[name].to_numpy(np.float64) - low) / (high - low)
    return total.astype(np.float32)
