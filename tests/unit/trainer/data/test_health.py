"""The health score against numbers computed by hand."""

import numpy as np
import pandas as pd
import pytest

from support.telemetry import MACHINE
from trainingjob_api.values import Range
from trainingjob_trainer.data.health import fit_health_score, score
from trainingjob_trainer.errors import TrainingError

NAN = float("nan")
TRAINING = pd.DataFrame(
    {
        "Oil_P": [400.0, 500.0, 600.0],
        "Oil_L": [30.0, 40.0, NAN],
        "Recalque": [50.0, 60.0, 70.0],
        "Succao": [-30.0, -20.0, -10.0],
    },
    dtype=np.float32,
)


def test_the_score_is_the_mean_of_the_four_normalised_indicators() -> None:
    health = fit_health_score(MACHINE, TRAINING, {})
    rows = pd.DataFrame(
        {"Oil_P": [500.0, 400], "Oil_L": [40.0, 30], "Recalque": [55.0, 50], "Succao": [-25.0, -30]}, dtype=np.float32
    )
    # 0.5 * (0.5 * (0.5 + 1.0)) + 0.5 * (0.5 * (0.25 + 0.25)); all indicators at their minimum give 0.
    np.testing.assert_allclose(score(health, rows), [0.5, 0.0])


def test_the_score_is_not_clipped_and_missing_if_an_indicator_is() -> None:
    health = fit_health_score(MACHINE, TRAINING, {})
    rows = pd.DataFrame(
        {"Oil_P": [1000.0, 600], "Oil_L": [40.0, NAN], "Recalque": [70.0, 70], "Succao": [-10.0, -10]}, dtype=np.float32
    )
    # Oil_P is three times its range: 0.25 * (3 + 1 + 1 + 1).
    np.testing.assert_allclose(score(health, rows), [1.5, NAN])


def test_a_fixed_range_replaces_the_fitted_range() -> None:
    health = fit_health_score(MACHINE, TRAINING, {"Oil_P": Range(min=0.0, max=1000.0)})
    assert health.ranges["Oil_P"] == (0, 1000)
    # 0.25 * (0.4 + 0 + 0 + 0)
    np.testing.assert_allclose(score(health, TRAINING.iloc[:1]), [0.1])


def test_an_indicator_that_is_constant_in_training_always_counts_as_half() -> None:
    training = TRAINING.assign(Oil_P=np.float32(480))
    health = fit_health_score(MACHINE, training, {})
    assert health.neutral == ("Oil_P",)
    dipped = training.iloc[:1].assign(Oil_P=np.float32(240))
    np.testing.assert_allclose(score(health, dipped), [0.125])


def test_a_constant_indicator_with_a_fixed_range_uses_that_range() -> None:
    training = TRAINING.assign(Oil_P=np.float32(480))
    health = fit_health_score(MACHINE, training, {"Oil_P": Range(min=0.0, max=600.0)})
    # 0.25 * 0.8 in every row; all other indicators are at their minimum.
    np.testing.assert_allclose(score(health, training.iloc[:1]), [0.2])


def test_a_missing_indicator_counts_as_half() -> None:
    training = TRAINING.drop(columns="Oil_L").assign(Oil_P=np.float32(NAN))
    health = fit_health_score(MACHINE, training, {})
    assert health.neutral == ("Oil_P", "Oil_L")
    # 0.125 + 0.125 + 0.25 * (0.5 + 0.5)
    np.testing.assert_allclose(score(health, training.iloc[1:2]), [0.5])


def test_a_score_that_never_changes_is_refused() -> None:
    training = TRAINING[["Oil_P"]].assign(Oil_P=np.float32(480))
    with pytest.raises(TrainingError, match="constant in the training part") as refusal:
        fit_health_score(MACHINE, training, {})
    assert refusal.value.reason == "InsufficientData"
