"""Validation on chunks judges a network as validation on windows does."""

from dataclasses import replace

import numpy as np
import pytest

from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.gru.baselines import LinearScore, fit_ridge, mixture
from trainingjob_trainer.models.gru.network import (
    Shape,
    fold,
    prediction_network,
    set_trained_weights,
    training_network,
)
from trainingjob_trainer.models.gru.prediction import predict
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.gru.validation import validation_on_chunks

SHAPE = Shape(length=8, features=5, units=(4, 3), dropout=0.2)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize("residual", [False, True])
def test_chunks_of_one_target_give_the_loss_of_the_windows(sequences: Sequences, residual: bool, mixed: bool) -> None:
    base = LinearScore(np.random.default_rng(0).normal(size=(1, 5)), 0.2) if residual else None
    target = standardise(sequences.training, base)
    ridge = fit_ridge(sequences.training) if mixed else None
    windows = sequences.validation
    network = training_network(SHAPE, 1, seed=1)
    model = prediction_network(SHAPE, base)
    set_trained_weights(model, fold(network.get_weights(), target.scale, target.offset))
    actual, predicted = windows.target.astype(np.float64), predict(model, windows)
    if ridge:
        by_ridge = ridge(windows)
        weight = mixture(actual, predicted, by_ridge)
        predicted = weight * predicted + (1 - weight) * by_ridge
    loss = validation_on_chunks(windows, target, ridge, 1, 3).loss(network)
    assert loss == pytest.approx(float(np.mean((predicted - actual) ** 2)), rel=1e-4)


def test_each_target_of_the_validation_part_is_judged_once(sequences: Sequences) -> None:
    target = standardise(sequences.training, None)
    validation = validation_on_chunks(sequences.validation, target, None, 8, 2)
    judged = np.sort(validation.actual * target.scale + target.offset)
    assert judged == pytest.approx(np.sort(sequences.validation.target), abs=1e-6)


def test_a_network_that_is_not_finite_has_no_finite_loss(sequences: Sequences) -> None:
    broken = replace(sequences.validation, inputs=sequences.validation.inputs * np.nan)
    target = standardise(sequences.training, None)
    validation = validation_on_chunks(broken, target, fit_ridge(sequences.training), 8, 2)
    assert not np.isfinite(validation.loss(training_network(SHAPE, 8, seed=1)))
