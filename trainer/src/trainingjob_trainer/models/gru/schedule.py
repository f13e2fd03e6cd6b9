"""The schedule of a training of the GRU: epochs, patience and the learning rate."""

import math
from dataclasses import dataclass, replace

MINIMUM_LEARNING_RATE = 1e-6
RATE_FACTOR = 0.5


@dataclass(frozen=True)
class Schedule:
    """How long to train and when to reduce the learning rate, as the spec says.

    Attributes:
        epochs: Epochs at most.
        steps: Optimiser steps of an epoch.
        learning_rate: First learning rate.
        stop_patience: Epochs without a better validation loss until training stops.
        learning_rate_patience: Epochs without a better validation loss until the learning rate is halved.
        seed: Of everything random.
    """

    epochs: int
    steps: int
    learning_rate: float
    stop_patience: int
    learning_rate_patience: int
    seed: int


@dataclass(frozen=True)
class State:
    """The state of a training, apart from the weights.

    Attributes:
        epoch: Epochs that are done.
        step: Steps of the current epoch that are done.
        loss_sum: Sum of the training losses of those steps.
        best: Lowest validation loss.
        best_epoch: The epoch it was found after, from 1.
        since_best: Epochs since then.
        since_learning_rate: Epochs since the best loss or the last change of the learning rate.
        learning_rate: Learning rate.
        losses: Training loss of each epoch, in units of the score.
        validation_losses: Validation loss of each epoch.
    """

    learning_rate: float
    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    since_best: int = 0
    since_learning_rate: int = 0
    losses: tuple[float, ...] = ()
    validation_losses: tuple[float, ...] = ()


def after_epoch(state: State, schedule: Schedule, validation_loss: float) -> State:
    """The state after an epoch, by the rules of Keras' EarlyStopping and ReduceLROnPlateau with ``min_delta`` 0."""
    better = validation_loss < state.best
    since_learning_rate = 0 if better else state.since_learning_rate + 1
    slower = since_learning_rate >= schedule.learning_rate_patience
    return replace(
        state,
        epoch=state.epoch + 1,
        step=0,
        loss_sum=0.0,
        best=validation_loss if better else state.best,
        best_epoch=state.epoch + 1 if better else state.best_epoch,
        since_best=0 if better else state.since_best + 1,
        since_learning_rate=0 if slower else since_learning_rate,
        learning_rate=max(state.learning_rate * RATE_FACTOR, MINIMUM_LEARNING_RATE) if slower else state.learning_rate,
        losses=(*state.losses, state.loss_sum / schedule.steps),
        validation_losses=(*state.validation_losses, validation_loss),
    )


def is_finished(state: State, schedule: Schedule) -> bool:
    """Whether the last epoch is done or patience is over."""
    return state.epoch >= schedule.epochs or state.since_best >= schedule.stop_patience
