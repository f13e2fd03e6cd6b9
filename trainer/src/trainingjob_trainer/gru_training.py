"""The training loop of the GRU: epochs of optimiser steps on chunks, a check on exact windows, the best weights kept.

All that decides how training goes on is in ``State``; all randomness is a function of the seed and the step. So a
state that is stored and taken up again ends in the same weights, bit by bit, as training that was never interrupted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import keras
import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer import gru_chunks
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.reporter import Reporter
from trainingjob_trainer.windows import Windows

Floats = NDArray[np.float32]

SLICE_STEPS = 125
"""Optimiser steps between two looks at whether to stop or to store a checkpoint, at most."""

MINIMUM_RATE = 1e-6
RATE_FACTOR = 0.5


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to slow down, as the spec says.

    Attributes:
        epochs: Epochs at most.
        steps: Optimiser steps of an epoch.
        rate: First learning rate.
        stop_patience: Epochs without a better validation loss until training stops.
        rate_patience: Epochs without a better validation loss until the rate is halved.
        seed: Of everything random.
    """

    epochs: int
    steps: int
    rate: float
    stop_patience: int
    rate_patience: int
    seed: int


@dataclass(frozen=True)
class State:
    """Where a training stands, apart from the weights.

    Attributes:
        epoch: Epochs that are done.
        step: Steps of the current epoch that are done.
        loss_sum: Sum of the training losses of those steps.
        best: Lowest validation loss.
        best_epoch: The epoch it was found after, from 1.
        since_best: Epochs since then.
        since_rate: Epochs since the best loss or the last change of the rate.
        rate: Learning rate.
        losses: Training loss of each epoch, in units of the score.
        validation_losses: Validation loss of each epoch.
    """

    rate: float
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    since_best: int = 0
    since_rate: int = 0
    losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()


def after_epoch(state: State, schedule: Schedule, validation_loss: float) -> State:
    """The state after an epoch, by the rules of Keras' EarlyStopping and ReduceLROnPlateau with ``min_delta`` 0."""
    better = validation_loss < state.best
    since_rate = 0 if better else state.since_rate + 1
    slower = since_rate >= schedule.rate_patience
    return replace(
        state,
        epoch=state.epoch + 1,
        step=0,
        loss_sum=0.0,
        best=validation_loss if better else state.best,
        best_epoch=state.epoch + 1 if better else state.best_epoch,
        since_best=0 if better else state.since_best + 1,
        since_rate=0 if slower else since_rate,
        rate=max(state.rate * RATE_FACTOR, MINIMUM_RATE) if slower else state.rate,
        losses=(*state.losses, state.loss_sum / schedule.steps),
        validation_losses=(*state.validation_losses, validation_loss),
    )


def is_finished(state: State, schedule: Schedule) -> bool:
    """Whether the last epoch is done or patience is over."""
    return state.epoch >= schedule.epochs or state.since_best >= schedule.stop_patience


@dataclass(frozen=True)
class Material:
    """What the network learns from.

    Attributes:
        windows: Those of the training part without its validation tail.
        standardised: What the network shall say for each row, shape (rows,); NaN where a row has no target.
        scored: Rows of a chunk with a target, at most.
        batch: Chunks of an optimiser step.
        unit: Units of the score that a standardised 1 stands for.
    """

    windows: Windows
    standardised: Floats
    scored: int
    batch: int
    unit: float

    @property
    def steps_in_pass(self) -> int:
        """Optimiser steps of one pass over all targets."""
        return -(-len(gru_chunks.tile(self.windows, self.scored)) // self.batch)


def train(
    network: keras.Model,
    material: Material,
    schedule: Schedule,
    validate: Callable[[list[Floats]], float],
    reporter: Reporter,
) -> tuple[State, list[Floats]]:
    """Trains a network until its epochs or its patience are over.

    Args:
        network: As ``gru_network.training_network`` builds it.
        material: What it learns from.
        schedule: How long and how fast.
        validate: The validation loss of given weights, in units of the score.
        reporter: Is told every epoch and every sign of life.

    Returns:
        The last state, and the weights of the best epoch.

    Raises:
        TrainingError: ``Diverged`` when a loss is not finite; ``Suspended`` when asked to stop.
    """
    network.compile(optimizer=keras.optimizers.Adam(schedule.rate), loss="mean_squared_error")
    network.optimizer.build(network.trainable_variables)
    state, best = State(schedule.rate), network.get_weights()
    stream = gru_chunks.batches(material.windows, material.scored, material.batch, schedule.seed)
    stream = islice(stream, state.epoch * schedule.steps + state.step, None)
    while not is_finished(state, schedule):
        while state.step < schedule.steps:
            steps = min(SLICE_STEPS, schedule.steps - state.step)
            loss = _fit(network, material, list(islice(stream, steps)), schedule, state)
            state = replace(state, step=state.step + steps, loss_sum=state.loss_sum + loss * material.unit**2 * steps)
            reporter.advanced()
            if reporter.should_stop():
                raise TrainingError("Suspended", f"Stopped on request in epoch {state.epoch + 1}.")
        validation_loss = validate(network.get_weights())
        if not math.isfinite(state.loss_sum) or not math.isfinite(validation_loss):
            raise TrainingError(
                "Diverged",
                f"The loss is not finite in epoch {state.epoch + 1} at a learning rate of {state.rate:g}: "
                "lower learningRate, and look for extreme values in the report of the data.",
            )
        state = after_epoch(state, schedule, validation_loss)
        if state.since_best == 0:
            best = network.get_weights()
        network.optimizer.learning_rate = state.rate
        reporter.epoch(state.epoch, schedule.epochs, loss=state.losses[-1], validation_loss=validation_loss)
    return state, best


def _fit(
    network: keras.Model, material: Material, chunks: list[gru_chunks.Chunks], schedule: Schedule, state: State
) -> float:
    """Takes one optimiser step for each batch of chunks; returns the mean loss of a target."""
    _seed_dropout(network, schedule.seed, state.epoch * schedule.steps + state.step)
    parts = [
        gru_chunks.gather(material.windows, material.standardised, batch, material.scored, material.batch)
        for batch in chunks
    ]
    inputs, targets, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    history = network.fit(inputs, targets, sample_weight=weights, batch_size=material.batch, shuffle=False, verbose=0)
    # Keras divides by all places of a batch, those of weight 0 included.
    return float(history.history["loss"][0]) * weights.size / float(weights.sum())


def _seed_dropout(network: keras.Model, seed: int, step: int) -> None:
    """Keras counts the second number up by one each step: the mask is a function of the seed and the step."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign(np.array([seed, step], np.uint32))
