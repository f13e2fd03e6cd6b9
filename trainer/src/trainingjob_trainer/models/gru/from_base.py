"""Trains the network of one machine from the base of its fleet.

Candidates are the base as it is, the base after each of some epochs on the machine's own data and, where the base is
of little use to a machine with a long history, a network of its own. The validation part selects: another candidate
replaces the base only when its error is lower by more than a standard error. Where the validation part is too short to
tell, the base stays as it is, since it has learned from many machines.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import keras
import numpy as np

from trainingjob_api.spec import Gru
from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.data.windows import Sequences, Windows
from trainingjob_trainer.models.fleet_base import DESCRIPTION, FleetBase
from trainingjob_trainer.models.gru.chunks import TrainingData, Weights
from trainingjob_trainer.models.gru.network import Shape, start_training
from trainingjob_trainer.models.gru.saved_model import read_weights
from trainingjob_trainer.models.gru.schedule import Schedule, State, plan_from_base
from trainingjob_trainer.models.gru.training import Fitted, fit_network
from trainingjob_trainer.models.gru.validation import Validation
from trainingjob_trainer.models.reporter import Reporter

NETWORK = "base"
"""Role of the file with the network of a base."""

MINIMUM_TARGETS, MINIMUM_TARGETS_OF_OWN = 60, 500
"""Validation targets below which they decide nothing, and below which no network of the machine's own is trained."""

LITTLE_WEIGHT = 0.25
"""Weight of a network in the mixture with ridge regression below which the base is of little use."""


@dataclass(frozen=True)
class Network:
    """The network of a base.

    Attributes:
        shape: Its shape.
        weights: Those of a training network.
        features: Names of its inputs, in order.
        output: What it predicts, as ``spec.model.gru.output`` says.
    """

    shape: Shape
    weights: Weights
    features: tuple[str, ...]
    output: str

    def suits(self, settings: Gru) -> bool:
        """Whether ``spec.model.gru`` of a machine asks for such a network."""
        wanted = Shape(settings.sequence_length, len(self.features), settings.units, settings.dropout)
        return (self.shape, self.output) == (wanted, settings.output)


def read_base(base: FleetBase) -> Network:
    """Reads the network of a base.

    Raises:
        ValueError: A file is damaged.
    """
    described = json.loads(base.file(DESCRIPTION))
    shape, weights, _ = read_weights(base.file(NETWORK))
    return Network(shape, weights, tuple(described["features"]), described["output"])


def after_boundary(test: Windows, dataset: HealthDataset, boundary: np.datetime64) -> Windows:
    """The test windows whose target is at or after the boundary of a base."""
    return replace(test, starts=test.starts[dataset.timestamps[test.target_rows] >= boundary])


def suitable_base(
    base: FleetBase, dataset: HealthDataset, sequences: Sequences, settings: Gru
) -> tuple[Network, None] | tuple[None, str]:
    """The network to start from, or a sentence that says why the machine is trained on its own.

    Args:
        base: The base of the fleet.
        dataset: The data of the machine.
        sequences: Its windows.
        settings: ``spec.model.gru`` of the machine.

    Raises:
        ValueError: The base is damaged.
    """
    network = read_base(base)
    if network.features != dataset.features:
        reason = f"it has the features {', '.join(dataset.features)}, and the base {', '.join(network.features)}"
    elif not network.suits(settings):
        reason = "the base was trained with another sequenceLength, units, dropout or output"
    elif not len(after_boundary(sequences.test, dataset, base.boundary)):
        boundary = np.datetime_as_string(base.boundary, "s")
        reason = f"no row of its test part is at or after {boundary}Z, until which the base learned from other machines"
    else:
        return network, None
    return None, f"This machine was trained without the base of its fleet: {reason}."


def base_metrics(base: FleetBase, kept: str) -> dict[str, str]:
    """What the metrics say of the base, and which candidate was kept."""
    return {"fingerprint": base.fingerprint, "boundary": f"{np.datetime_as_string(base.boundary, 's')}Z", "kept": kept}


def fit_from_base(
    network: Network,
    data: TrainingData,
    validation: Validation,
    seed: int,
    reporter: Reporter,
    fit_alone: Callable[[TrainingData], Fitted],
) -> Fitted:
    """Trains from a base and selects the best candidate.

    Args:
        network: That of the base.
        data: What the machine learns from; its ``validation_loss`` is not used.
        validation: Its validation part.
        seed: Of everything random.
        reporter: Receives epochs and heartbeats, and says whether to stop.
        fit_alone: Trains a network of the machine's own.

    Raises:
        TrainingError: Diverged or Suspended.
    """
    trained = start_training(network.shape, data.targets_per_chunk, network.weights)
    of_base = validation.squared_errors(validation.outputs(trained))
    schedule = plan_from_base(seed)
    loss = float(np.mean(of_base))
    if not can_select(validation):
        state = State(schedule.learning_rate, best=loss, losses=(loss,), validation_losses=(loss,))
        return Fitted(network.weights, state, schedule, "base")

    def cautious_loss(candidate: keras.Model) -> float:
        return upper_loss(validation.squared_errors(validation.outputs(candidate)), of_base)

    judged = replace(data, validation_loss=cautious_loss)
    state, weights = fit_network(trained, judged, schedule, reporter, None, best_so_far=loss)
    fitted = selected(state, weights, schedule)
    trained.set_weights(weights)
    outputs = validation.outputs(trained)
    if not needs_own(validation, outputs):
        return fitted
    own = fit_alone(replace(data, validation_loss=own_validation(validation).loss))
    trained.set_weights(own.weights)
    return own if own_is_better(validation, validation.outputs(trained), outputs) else fitted


def can_select(validation: Validation) -> bool:
    """Whether the validation part is long enough to select anything but the base as it is."""
    return len(validation.actual) >= MINIMUM_TARGETS


def selected(state: State, weights: Weights, schedule: Schedule) -> Fitted:
    """The best candidate of a training from the base."""
    steps = state.best_epoch * schedule.steps
    return Fitted(weights, state, schedule, f"base + {steps} steps" if steps else "base")


def own_validation(validation: Validation) -> Validation:
    """The validation of a network of the machine's own, on the same targets."""
    return replace(validation, trust_network=False)


def needs_own(validation: Validation, outputs: Floats) -> bool:
    """Whether the base is of little use to a machine with a long history, by the outputs of the best candidate."""
    is_long = len(validation.actual) >= MINIMUM_TARGETS_OF_OWN
    return is_long and validation.network_weight(outputs) < LITTLE_WEIGHT


def own_is_better(validation: Validation, own: Floats, from_base: Floats) -> bool:
    """Whether a network of the machine's own is better than the best candidate from the base, by their outputs."""
    of_base = validation.squared_errors(from_base)
    return upper_loss(own_validation(validation).squared_errors(own), of_base) < float(np.mean(of_base))


def upper_loss(squared_errors: Floats, of_base: Floats) -> float:
    """The mean of squared errors, and one standard error of its difference to that of the base."""
    return float(np.mean(squared_errors) + np.std(squared_errors - of_base) / math.sqrt(len(of_base)))
