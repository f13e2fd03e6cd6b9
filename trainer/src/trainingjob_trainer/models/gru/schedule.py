"""The schedule of a training of the GRU: how many optimiser steps, at which learning rates, and when it stops early.

A training is planned before it starts. The learning rate rises to its peak over the first steps and falls to 0 at the
last planned step. In the second half of the epochs, two rules of Keras protect a training that goes worse than planned:
ReduceLROnPlateau halves what is left of the planned rates, and EarlyStopping ends the training.
"""

import math
from dataclasses import dataclass, replace

from trainingjob_api.spec import Gru

EPOCHS = 20
"""Planned epochs where the spec sets none: enough for a smooth progress, and few enough for cheap validation."""

PASSES = 28
STEPS_OF_LONG_PASS = 30
MINIMUM_STEPS, MAXIMUM_STEPS = 12, 1000
"""Optimiser steps of an epoch where the spec sets none: so many that ``EPOCHS`` epochs make ``PASSES`` passes over the
data, within these bounds. Fewer leave a short series untrained. From ``STEPS_OF_LONG_PASS`` steps in a pass on, about
20,000 rows, the number of steps grows with the square root of the data: on 100,000 rows, twice as many steps lower the
RMSE by 0.2 %."""

HIGHEST_PEAK, LOWEST_PEAK = 0.012, 0.003
"""Bounds of the peak learning rate where the spec sets none."""

MINIMUM_BASE_STEPS, MAXIMUM_BASE_STEPS = 50, 200
"""The same bounds for the base of a fleet, which has the data of many machines and makes all passes over them."""

FROM_BASE_EPOCHS, FROM_BASE_STEPS, FROM_BASE_PEAK = 10, 25, 0.001
"""The training of one machine that starts from a base: few steps, at a low rate."""

FROM_BASE_PATIENCE = 4
"""Epochs without a better validation loss until that training stops."""

_STEPS_AT_HIGHEST_PEAK = 1000
_WARM_UP_SHARE = 0.1
_WARM_UP_STEPS = 50

MINIMUM_LEARNING_RATE = 1e-6
RATE_FACTOR = 0.5


@dataclass(frozen=True)
class Schedule:
    """How long to train, and at which learning rates.

    Attributes:
        epochs: Planned epochs.
        steps: Optimiser steps of an epoch.
        learning_rate: Peak learning rate.
        start_from_epoch: First epochs, whose validation losses decide nothing: at the peak rate they are noisy, and the
            lowest one would be luck.
        stop_patience: Epochs without a better validation loss until training stops.
        learning_rate_patience: Epochs without a better validation loss until the learning rate is halved.
        seed: Of everything random.
    """

    epochs: int
    steps: int
    learning_rate: float
    start_from_epoch: int
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
        learning_rate: Peak learning rate after all reductions so far.
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


def plan(settings: Gru, seed: int, steps_in_pass: int) -> Schedule:
    """Plans a training: what the spec sets is kept, and the rest follows from the size of the data.

    Args:
        settings: ``spec.model.gru``.
        seed: ``spec.model.seed``.
        steps_in_pass: Optimiser steps of one pass over the training data.
    """
    epochs = settings.epochs or EPOCHS
    shortened = min(steps_in_pass, math.sqrt(steps_in_pass * STEPS_OF_LONG_PASS))
    automatic_steps = min(max(int(PASSES * shortened / EPOCHS), MINIMUM_STEPS), MAXIMUM_STEPS)
    steps = settings.steps_per_epoch or automatic_steps
    return Schedule(
        epochs=epochs,
        steps=steps,
        learning_rate=settings.learning_rate or peak_rate(epochs * steps),
        start_from_epoch=epochs // 2,
        stop_patience=settings.early_stopping_patience,
        learning_rate_patience=settings.reduce_lr_on_plateau_patience,
        seed=seed,
    )


def plan_base(seed: int, steps_in_pass: int) -> Schedule:
    """Plans the training of a base. Nothing is left to validate it on, so that the last weights are the result.

    Args:
        seed: ``spec.model.seed``.
        steps_in_pass: Optimiser steps of one pass over the training data.
    """
    steps = min(max(PASSES * steps_in_pass // EPOCHS, MINIMUM_BASE_STEPS), MAXIMUM_BASE_STEPS)
    return Schedule(EPOCHS, steps, peak_rate(EPOCHS * steps), EPOCHS - 1, EPOCHS, EPOCHS, seed)


def plan_from_base(seed: int) -> Schedule:
    """Plans the training of one machine that starts from a base, of which every epoch is a candidate."""
    return Schedule(FROM_BASE_EPOCHS, FROM_BASE_STEPS, FROM_BASE_PEAK, 0, FROM_BASE_PATIENCE, FROM_BASE_EPOCHS, seed)


def peak_rate(steps: int) -> float:
    """The peak learning rate that suits a number of planned steps: the more steps, the lower, within its bounds."""
    return max(LOWEST_PEAK, HIGHEST_PEAK * min(1.0, math.sqrt(_STEPS_AT_HIGHEST_PEAK / steps)))


def share_of_peak(position: float, steps: int) -> float:
    """The planned learning rate as a share of its peak: linear warm-up, then the falling half of a cosine.

    Args:
        position: Steps since the start of the training, above 0 and below ``steps``.
        steps: Planned steps.
    """
    warm_up = min(_WARM_UP_STEPS, _WARM_UP_SHARE * steps)
    return min(position / warm_up, (1 + math.cos(math.pi * position / steps)) / 2)


def learning_rate(state: State, schedule: Schedule, steps: int) -> float:
    """The learning rate of the next ``steps`` steps of an epoch: the planned one at their middle, after reductions."""
    position = state.epoch * schedule.steps + state.step + steps / 2
    return state.learning_rate * share_of_peak(position, schedule.epochs * schedule.steps)


def after_epoch(state: State, schedule: Schedule, validation_loss: float) -> State:
    """The state after an epoch, by the rules of Keras' EarlyStopping and ReduceLROnPlateau with ``min_delta`` 0."""
    state = replace(
        state,
        epoch=state.epoch + 1,
        step=0,
        loss_sum=0.0,
        losses=(*state.losses, state.loss_sum / schedule.steps),
        validation_losses=(*state.validation_losses, validation_loss),
    )
    if state.epoch <= schedule.start_from_epoch:
        return state
    better = validation_loss < state.best
    since_learning_rate = 0 if better else state.since_learning_rate + 1
    slower = since_learning_rate >= schedule.learning_rate_patience
    return replace(
        state,
        best=validation_loss if better else state.best,
        best_epoch=state.epoch if better else state.best_epoch,
        since_best=0 if better else state.since_best + 1,
        since_learning_rate=0 if slower else since_learning_rate,
        learning_rate=max(state.learning_rate * RATE_FACTOR, MINIMUM_LEARNING_RATE) if slower else state.learning_rate,
    )


def is_finished(state: State, schedule: Schedule) -> bool:
    """Whether the last epoch is done or patience is over."""
    return state.epoch >= schedule.epochs or state.since_best >= schedule.stop_patience
