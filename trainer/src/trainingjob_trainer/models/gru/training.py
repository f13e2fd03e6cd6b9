"""The loop of a training: optimiser steps by a schedule, with validation, checkpoints and requests to stop."""

import math
from dataclasses import dataclass, replace
from itertools import islice

import keras

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Gru
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.gru.chunks import TrainingData, Weights
from trainingjob_trainer.models.gru.network import Shape, initial_weights, seed_dropout, start_training
from trainingjob_trainer.models.gru.resume import resume, snapshot
from trainingjob_trainer.models.gru.schedule import Schedule, State, after_epoch, is_finished, learning_rate, plan
from trainingjob_trainer.models.reporter import Reporter

WINDOWS_PER_CHUNK = 4
"""A step takes one chunk for every four windows of ``batchSize``, and sees many times as many targets."""

SLICE_STEPS = 25
"""Optimiser steps at one learning rate, between two looks at whether to stop or to store a checkpoint, at most."""


def chunks_per_step(settings: Gru) -> int:
    """Chunks of an optimiser step."""
    return max(1, settings.batch_size // WINDOWS_PER_CHUNK)


@dataclass(frozen=True)
class Fitted:
    """The network that a training selected.

    Attributes:
        weights: Those of a training network.
        state: Of its training when it ended.
        schedule: Of its training.
        kept: Which candidate it is: ``own``, ``base`` or the base after so many steps.
    """

    weights: Weights
    state: State
    schedule: Schedule
    kept: str = "own"

    @property
    def from_base(self) -> bool:
        """Whether it comes from a base."""
        return self.kept != "own"


def fit_own(
    settings: Gru, shape: Shape, data: TrainingData, seed: int, reporter: Reporter, checkpoints: Checkpoints | None
) -> Fitted:
    """Trains a network from random weights; see ``fit_network``."""
    schedule = plan(settings, seed, data.steps_in_pass)
    network = start_training(shape, data.targets_per_chunk, initial_weights(shape, seed))
    state, best = fit_network(network, data, schedule, reporter, checkpoints)
    return Fitted(best, state, schedule)


def fit_network(
    network: keras.Model,
    data: TrainingData,
    schedule: Schedule,
    reporter: Reporter,
    checkpoints: Checkpoints | None,
    best_so_far: float = math.inf,
) -> tuple[State, Weights]:
    """Trains a network until the planned epochs or the patience are over.

    Args:
        network: As ``network.start_training`` returns it.
        data: What it learns from.
        schedule: How long and how fast.
        reporter: Receives every epoch and a heartbeat for every slice of it, and says whether to stop.
        checkpoints: Where to resume from, and where to store the state; None stores nothing.
        best_so_far: The validation loss of the network's weights, which an epoch must be below to count as better.

    Returns:
        The last state, and the weights of the best epoch; those of the beginning where no epoch is better.

    Raises:
        TrainingError: ``Diverged`` when a loss is not finite; ``Suspended`` when asked to stop, after a checkpoint.
    """
    state, best = resume(network, schedule, checkpoints) or (
        State(schedule.learning_rate, best=best_so_far),
        network.get_weights(),
    )
    batches = islice(data.batches(schedule.seed), state.epoch * schedule.steps + state.step, None)
    while not is_finished(state, schedule):
        steps = min(SLICE_STEPS, schedule.steps - state.step)
        network.optimizer.learning_rate = learning_rate(state, schedule, steps)
        seed_dropout(network, schedule.seed, state.epoch * schedule.steps + state.step)
        inputs, targets, weights = data.gather(list(islice(batches, steps)))
        history = network.fit(inputs, targets, sample_weight=weights, batch_size=data.batch, shuffle=False, verbose=0)
        # Keras divides by all places of a batch, those of weight 0 included.
        loss = float(history.history["loss"][0]) * weights.size / float(weights.sum()) * data.target.scale**2
        state = replace(state, step=state.step + steps, loss_sum=state.loss_sum + loss * steps)
        if state.step == schedule.steps:
            state = after_epoch(state, schedule, data.validation_loss(network))
            refuse_divergence(state)
            best = network.get_weights() if state.since_best == 0 else best
            reporter.epoch(
                state.epoch, schedule.epochs, loss=state.losses[-1], validation_loss=state.validation_losses[-1]
            )
        reporter.heartbeat()
        stopping = reporter.should_stop()
        if checkpoints and stopping:
            checkpoints.put(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        elif checkpoints and (checkpoints.is_due() or is_finished(state, schedule)):
            checkpoints.offer(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        if stopping:
            kept = ", after a checkpoint" if checkpoints else ""
            raise TrainingError(Reason.SUSPENDED, f"Stopped on request in epoch {state.epoch + 1}{kept}.")
    return state, best


def refuse_divergence(state: State) -> None:
    """Check that the losses of the last epoch are finite.

    Raises:
        TrainingError: ``Diverged``.
    """
    if math.isfinite(state.losses[-1]) and math.isfinite(state.validation_losses[-1]):
        return
    raise TrainingError(
        Reason.DIVERGED,
        f"The loss is not finite after epoch {state.epoch} at a peak learning rate of {state.learning_rate:g}: set a "
        "lower model.gru.learningRate, and look for extreme values in what the report says of the data.",
    )
