"""The baselines are what they say, as linear functions that fit into a frozen layer."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from trainingjob_trainer.data.dataset import HealthDataset, HealthScore
from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.gru.baselines import SHRINKAGE, fit_ridge, last_score, mixture


def test_the_last_score_is_linear_in_the_last_scaled_row(dataset: HealthDataset, sequences: Sequences) -> None:
    skip = last_score(dataset.health, dataset.scaler, dataset.features)
    assert skip(sequences.test) == pytest.approx(sequences.test.last_score, abs=1e-6)
    assert skip.weights == pytest.approx(np.array([[0.25, 0.25, 0.25, 0.25, 0.0]]))


def test_the_last_score_uses_fixed_ranges_and_constants(dataset: HealthDataset, sequences: Sequences) -> None:
    health = HealthScore({"Oil_P": (0.0, 700.0), "Succao": (-100.0, 100.0)}, 0.25, ("Oil_L", "Recalque"))
    rows = sequences.test.target_rows - 1
    oil, suction = (dataset.frame[name].to_numpy()[rows] for name in ("Oil_P", "Succao"))
    expected = 0.25 + 0.25 * oil / 700 + 0.25 * (suction + 100) / 200
    assert last_score(health, dataset.scaler, dataset.features)(sequences.test) == pytest.approx(expected, abs=1e-6)


def test_ridge_equals_scikit_learn_on_flattened_windows(sequences: Sequences) -> None:
    inputs, score = sequences.training.gather(slice(None))
    reference = Ridge().fit(inputs.reshape(len(inputs), -1), score)
    expected = reference.predict(sequences.test.gather(slice(None))[0].reshape(len(sequences.test), -1))
    assert fit_ridge(sequences.training)(sequences.test) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_an_ensemble_of_linear_scores_is_linear(dataset: HealthDataset, sequences: Sequences, weight: float) -> None:
    last, ridge = last_score(dataset.health, dataset.scaler, dataset.features), fit_ridge(sequences.training)
    expected = weight * last(sequences.test) + (1 - weight) * ridge(sequences.test)
    assert last.over(8).mixed_with(ridge, weight)(sequences.test) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("weight", "expected"), [(0.3, 0.3), (1.4, 1.0), (-0.2, 0.0)])
def test_many_rows_give_the_weight_with_the_lowest_error(weight: float, expected: float) -> None:
    first, second = np.random.default_rng(0).random((2, 100_000)).astype(np.float32)
    assert mixture(weight * first + (1 - weight) * second, first, second) == pytest.approx(expected, abs=1e-3)


def test_few_rows_shrink_the_weight_towards_the_second_model() -> None:
    first, second = np.random.default_rng(0).random((2, SHRINKAGE)).astype(np.float32)
    assert mixture(first, first, second) == pytest.approx(0.5)


def test_the_first_of_two_equal_predictions_gets_all_weight() -> None:
    same = np.ones(5, np.float32)
    assert mixture(np.zeros(5, np.float32), same, same) == 1
