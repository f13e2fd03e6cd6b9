"""Trains several machines at once: the same candidates and the same selection as for one machine after the other."""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.gru.from_base import (
    can_select,
    needs_own,
    own_is_better,
    own_validation,
    selected,
    upper_loss,
)
from trainingjob_trainer.models.gru.lockstep import Judge, Result, Task, fit_together
from trainingjob_trainer.models.gru.machine import MachineTraining, evaluate, fit, prepare_training
from trainingjob_trainer.models.gru.network import initial_weights
from trainingjob_trainer.models.gru.schedule import Schedule, plan, plan_from_base
from trainingjob_trainer.models.gru.training import Fitted
from trainingjob_trainer.models.reporter import Reporter


def train_together(
    machines: Sequence[tuple[HealthDataset, TrainingJobSpec]],
    reporter: Reporter,
    base: FleetBase | None,
    threads: int,
) -> list[TrainedModel | TrainingError]:
    """Trains one model of each machine; see ``ModelType.train_many``.

    Args:
        machines: See there.
        reporter: See there.
        base: See there.
        threads: In which the data are prepared.

    Raises:
        TrainingError: ``Suspended``.
    """

    def prepared(machine: tuple[HealthDataset, TrainingJobSpec]) -> MachineTraining | TrainingError:
        try:
            return prepare_training(*machine, base)
        except TrainingError as error:
            return error
        finally:
            reporter.heartbeat()

    outcomes: dict[int, TrainedModel | TrainingError] = {}
    trainings: dict[int, MachineTraining] = {}
    with ThreadPoolExecutor(threads) as pool:
        for position, training in enumerate(pool.map(prepared, machines)):
            if isinstance(training, TrainingError):
                outcomes[position] = training
            else:
                trainings[position] = training
    for position, fitted in _fit_all(trainings, reporter).items():
        if isinstance(fitted, TrainingError):
            outcomes[position] = fitted
        elif reporter.should_stop():
            outcomes[position] = TrainingError(Reason.SUSPENDED, "Stopped on request before its evaluation.")
        else:
            outcomes[position] = evaluate(trainings[position], fitted, reporter)
    return [outcomes[position] for position in range(len(machines))]


def _fit_all(trainings: Mapping[int, MachineTraining], reporter: Reporter) -> dict[int, Fitted | TrainingError]:
    """Trains from the base; then, on their own, those without a base and those to which it is of little use."""
    based = {position: training for position, training in trainings.items() if training.start}
    selecting = {position: training for position, training in based.items() if can_select(training.validation)}
    # The others keep the base as it is: nothing is fitted.
    fitted: dict[int, Fitted | TrainingError] = {
        position: fit(training, reporter, None) for position, training in based.items() if position not in selecting
    }
    candidates = _fit_some(selecting, _task_from_base, reporter)
    for position, result in candidates.items():
        schedule = plan_from_base(trainings[position].spec.model.seed)
        if isinstance(result, TrainingError):
            fitted[position] = result
        else:
            fitted[position] = selected(result.state, result.weights, schedule)
    alone = {
        position: training
        for position, training in trainings.items()
        if position not in based or _needs_own(training, candidates.get(position))
    }
    for position, own in _fit_some(alone, _task_alone, reporter).items():
        candidate = candidates.get(position)
        if isinstance(own, TrainingError):
            fitted[position] = own
        elif not isinstance(candidate, Result) or own_is_better(
            trainings[position].validation, own.outputs, candidate.outputs
        ):
            fitted[position] = Fitted(own.weights, own.state, _schedule_alone(trainings[position]))
    return fitted


def _needs_own(training: MachineTraining, candidate: Result | TrainingError | None) -> bool:
    return isinstance(candidate, Result) and needs_own(training.validation, candidate.outputs)


def _fit_some(
    trainings: Mapping[int, MachineTraining], task: Callable[[MachineTraining], Task], reporter: Reporter
) -> dict[int, Result | TrainingError]:
    """Trains at once the machines whose networks have one shape."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for position, training in trainings.items():
        groups[training.shape, training.data.batch].append(position)
    results: dict[int, Result | TrainingError] = {}
    for positions in groups.values():
        tasks = [task(trainings[position]) for position in positions]
        fitted = fit_together(trainings[positions[0]].shape, tasks, reporter)
        results |= dict(zip(positions, fitted, strict=True))
    return results


def _task_from_base(training: MachineTraining) -> Task:
    def judge(of_base: Floats) -> tuple[Judge, float]:
        return functools.partial(upper_loss, of_base=of_base), float(np.mean(of_base))

    if training.start is None:
        raise ValueError(f"machine {training.dataset.machine} does not start from a base")
    schedule = plan_from_base(training.spec.model.seed)
    return Task(training.data, training.validation, schedule, training.start.weights, judge)


def _task_alone(training: MachineTraining) -> Task:
    def judge(_: Floats) -> tuple[Judge, float]:
        return lambda errors: float(np.mean(errors)), math.inf

    weights = initial_weights(training.shape, training.spec.model.seed)
    return Task(training.data, own_validation(training.validation), _schedule_alone(training), weights, judge)


def _schedule_alone(training: MachineTraining) -> Schedule:
    model = training.spec.model
    return plan(model.gru, model.seed, training.data.steps_in_pass)
