"""What a checkpoint of the GRU holds, and how a training takes it up again."""

import logging
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.models.checkpoint import Checkpoint, Checkpoints
from trainingjob_trainer.models.gru.network import device
from trainingjob_trainer.models.gru.schedule import Schedule, State

Weights = list[NDArray[np.float32]]

_LOG = logging.getLogger(__name__)


def snapshot(network: keras.Model, state: State, best: Weights, schedule: Schedule, fingerprint: str) -> Checkpoint:
    """Everything that the training goes on from: weights, the best ones, the optimizer with its rate, the counters."""
    arrays: dict[str, NDArray[Any]] = {}
    arrays |= {f"weight {index}": values for index, values in enumerate(network.get_weights())}
    arrays |= {f"best {index}": values for index, values in enumerate(best)}
    arrays |= {
        f"optimizer {index}": keras.ops.convert_to_numpy(variable)
        for index, variable in enumerate(network.optimizer.variables)
    }
    steps = state.epoch * schedule.steps + state.step
    return Checkpoint(fingerprint, device(), steps, asdict(state), arrays)


def resume(network: keras.Model, checkpoints: Checkpoints | None) -> tuple[State, Weights] | None:
    """Puts the most advanced checkpoint into a compiled network.

    Returns:
        The state and the best weights to go on with; None where there is nothing to go on from.
    """
    found = checkpoints.most_advanced() if checkpoints else None
    if found is None:
        return None
    places = {
        **{f"weight {index}": variable for index, variable in enumerate(network.weights)},
        **{f"optimizer {index}": variable for index, variable in enumerate(network.optimizer.variables)},
    }
    best = {f"best {index}": variable for index, variable in enumerate(network.weights)}
    shapes = {name: tuple(variable.shape) for name, variable in (places | best).items()}
    if shapes != {name: values.shape for name, values in found.arrays.items()}:
        _LOG.warning("the checkpoint is discarded: another version of the trainer made it, for another network")
        return None
    for name, variable in places.items():
        variable.assign(found.arrays[name])
    state = State(**found.counters)
    _LOG.info("training goes on from a checkpoint, after %d epochs and %d steps", state.epoch, state.step)
    if found.device != device():
        _LOG.warning("it was made with %s; on %s the last digits may differ", found.device, device())
    return state, [found.arrays[name] for name in best]
