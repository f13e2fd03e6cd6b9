"""Checkpoints of the GRU: how the state of a training is stored and restored."""

import logging
from dataclasses import asdict
from typing import Any

import keras
from numpy.typing import NDArray

from trainingjob_trainer.models.checkpoint import Checkpoint, Checkpoints
from trainingjob_trainer.models.gru.chunks import Weights
from trainingjob_trainer.models.gru.network import device
from trainingjob_trainer.models.gru.schedule import Schedule, State

logger = logging.getLogger(__name__)


def snapshot(network: keras.Model, state: State, best: Weights, schedule: Schedule, fingerprint: str) -> Checkpoint:
    """The whole state of a training: weights, the best ones, the optimizer, the counters, and the schedule."""
    arrays: dict[str, NDArray[Any]] = {}
    arrays |= {f"weight {index}": values for index, values in enumerate(network.get_weights())}
    arrays |= {f"best {index}": values for index, values in enumerate(best)}
    arrays |= {
        f"optimizer {index}": keras.ops.convert_to_numpy(variable)
        for index, variable in enumerate(network.optimizer.variables)
    }
    steps = state.epoch * schedule.steps + state.step
    counters = {"state": asdict(state), "schedule": asdict(schedule)}
    return Checkpoint(fingerprint, device(), steps, counters, arrays)


def resume(network: keras.Model, schedule: Schedule, checkpoints: Checkpoints | None) -> tuple[State, Weights] | None:
    """Restores the most advanced checkpoint into a compiled network, if it was made under the same schedule.

    Returns:
        The state and the best weights; None where there is no checkpoint to resume from.
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
    same_network = shapes == {name: values.shape for name, values in found.arrays.items()}
    if not same_network or found.counters["schedule"] != asdict(schedule):
        what = "schedule" if same_network else "network"
        logger.warning("the checkpoint is discarded: another version of the trainer made it, for another %s", what)
        return None
    for name, variable in places.items():
        variable.assign(found.arrays[name])
    state = State(**found.counters["state"])
    logger.info("training resumes from a checkpoint, after %d epochs and %d steps", state.epoch, state.step)
    if found.device != device():
        logger.warning("it was made with %s; on %s the last digits may differ", found.device, device())
    return state, [found.arrays[name] for name in best]
