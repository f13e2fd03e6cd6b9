"""The training loop of the GRU: epochs of optimiser steps on chunks, a check on exact windows, the best weights kept.

All that decides how training goes on is in its state and its arrays; all randomness is a function of the seed and the
step. So a training that is stored and taken up again ends in the same weights, bit by bit, as one never interrupted.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import keras
import numpy as np
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.gru import chunks as gru_chunks
from trainingjob_trainer.models.gru.chunks import Chunks
from trainingjob_trainer.models.gru.resume import resume, snapshot
from trainingjob_trainer.models.gru.schedule import Schedule, State, after_epoch, is_finished
from trainingjob_trainer.models.gru.target import Target
from trainingjob_trainer.models.reporter import Reporter

Weights = list[NDArray[np.float32]]

_SLICE_STEPS = 125
"""Optimiser steps between two looks at whether to stop or to store a checkpoint, at most."""


@dataclass(frozen=True)
class Material:
    """What the network learns from and is checked on.

    Attributes:
        windows: Those of the training part without its validation tail.
        target: What the network shall say for each row.
        scored: Rows of a chunk with a target, at most.
        batch: Chunks of an optimiser step.
        validation_loss: The loss of weights on the validation part, in units of the score.
    """

    windows: Windows
    target: Target
    scored: int
    batch: int
    validation_loss: Callable[[Weights], float]

    @property
    def steps_in_pass(self) -> int:
        """Optimiser steps of one pass over all targets."""
        return -(-len(gru_chunks.tile(self.windows, self.scored)) // self.batch)


def train(
    network: keras.Model, material: Material, schedule: Schedule, reporter: Reporter, checkpoints: Checkpoints | None
) -> tuple[State, Weights]:
    """Trains a network until its epochs or its patience are over.

    Args:
        network: As ``gru_network.training_network`` builds it.
        material: What it learns from.
        schedule: How long and how fast.
        reporter: Is told every epoch and every sign of life, and asked whether to stop.
        checkpoints: Where to go on from, and where to store how far it came; None stores nothing.

    Returns:
        The last state, and the weights of the best epoch.

    Raises:
        TrainingError: ``Diverged`` when a loss is not finite; ``Suspended`` when asked to stop, after a checkpoint.
    """
    network.compile(optimizer=keras.optimizers.Adam(schedule.rate), loss="mean_squared_error")
    network.optimizer.build(network.trainable_variables)
    state, best = resume(network, checkpoints) or (State(schedule.rate), network.get_weights())
    batches = gru_chunks.batches(material.windows, material.scored, material.batch, schedule.seed)
    batches = islice(batches, state.epoch * schedule.steps + state.step, None)
    while not is_finished(state, schedule):
        steps = min(_SLICE_STEPS, schedule.steps - state.step)
        _seed_dropout(network, schedule.seed, state.epoch * schedule.steps + state.step)
        loss = _fit(network, material, list(islice(batches, steps))) * material.target.scale**2
        state = replace(state, step=state.step + steps, loss_sum=state.loss_sum + loss * steps)
        if state.step == schedule.steps:
            state = after_epoch(state, schedule, material.validation_loss(network.get_weights()))
            _refuse_divergence(state)
            best = network.get_weights() if state.since_best == 0 else best
            network.optimizer.learning_rate = state.rate
            reporter.epoch(
                state.epoch, schedule.epochs, loss=state.losses[-1], validation_loss=state.validation_losses[-1]
            )
        reporter.advanced()
        stopping = reporter.should_stop()
        if checkpoints and stopping:
            checkpoints.put(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        elif checkpoints and (checkpoints.is_due() or is_finished(state, schedule)):
            checkpoints.offer(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        if stopping:
            kept = ", after a checkpoint" if checkpoints else ""
            raise TrainingError(Reason.SUSPENDED, f"Stopped on request in epoch {state.epoch + 1}{kept}.")
    return state, best


def _refuse_divergence(state: State) -> None:
    if math.isfinite(state.losses[-1]) and math.isfinite(state.validation_losses[-1]):
        return
    raise TrainingError(
        Reason.DIVERGED,
        f"The loss is not finite after epoch {state.epoch} at a learning rate of {state.rate:g}: lower "
        "model.gru.learningRate, and look for extreme values in what the report says of the data.",
    )


def _fit(network: keras.Model, material: Material, batches: list[Chunks]) -> float:
    """Takes one optimiser step for each batch of chunks; returns the mean loss of a target."""
    parts = [
        gru_chunks.gather(material.windows, material.target.standardised, batch, material.scored, material.batch)
        for batch in batches
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
