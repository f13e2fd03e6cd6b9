"""Trains the networks of many machines at once with JAX: one vectorised optimiser step for all of them.

Every machine keeps its own schedule, seed, data and best weights. Its state is advanced by the rules of a single
training; a machine that has ended, or whose loss is not finite, keeps its weights while the others go on. On a GPU a
step for many machines takes little longer than a step for one; on a CPU nothing is gained.

The rows of all machines lie on the device, padded to a common number, and each step reads its chunks from there.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np

from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.gru.chunks import Chunks, TrainingData, Weights
from trainingjob_trainer.models.gru.network import Shape, start_training
from trainingjob_trainer.models.gru.schedule import Schedule, State, after_epoch, is_finished, learning_rate
from trainingjob_trainer.models.gru.training import SLICE_STEPS, refuse_divergence
from trainingjob_trainer.models.gru.validation import Validation
from trainingjob_trainer.models.gru.vectorised import Rows, Steps, Trained, programs
from trainingjob_trainer.models.reporter import Reporter

ROWS_MULTIPLE = 4096
"""Rows of a machine are padded to a multiple of this, and machines to a power of two: few sizes to compile for."""

MAXIMUM_PADDED_ROWS = 2**25
"""Padded rows of all machines that train at once, at most: 1 GB with eight features."""

Judge = Callable[[Floats], float]


@dataclass(frozen=True)
class Task:
    """One machine that takes part.

    Attributes:
        data: What its network learns from; its ``validation_loss`` is not used.
        validation: Its validation part.
        schedule: How long and how fast.
        weights: To start from.
        judge: From the squared errors of those weights, returns the loss of later squared errors, and the loss that an
            epoch must be below to count as better.
    """

    data: TrainingData
    validation: Validation
    schedule: Schedule
    weights: Weights
    judge: Callable[[Floats], tuple[Judge, float]]


@dataclass(frozen=True)
class Result:
    """The end of one machine's training.

    Attributes:
        state: Its last state.
        weights: Those of the best epoch.
        outputs: What these weights say for the chunks of the validation part; see ``Validation.outputs``.
    """

    state: State
    weights: Weights
    outputs: Floats


def fit_together(shape: Shape, tasks: Sequence[Task], reporter: Reporter) -> list[Result | TrainingError]:
    """Trains the networks of machines with networks of one shape.

    Args:
        shape: Of all networks.
        tasks: The machines.
        reporter: Receives heartbeats, and says whether to stop.

    Returns:
        For each task its result, or why it failed.

    Raises:
        TrainingError: ``Suspended`` when asked to stop; nothing is kept.
    """
    results: dict[int, Result | TrainingError] = {}
    for group in _groups(tasks):
        trained = _Group(shape, [tasks[index] for index in group]).fit(reporter)
        results |= dict(zip(group, trained, strict=True))
    return [results[index] for index in range(len(tasks))]


def _groups(tasks: Sequence[Task]) -> Iterator[list[int]]:
    """Positions of the tasks that train at once: of similar length, and as many as fit into memory."""
    order = sorted(range(len(tasks)), key=lambda index: _padded_rows(tasks[index]))
    while order:
        count = 1
        while (
            count < len(order) and _power_of_two(count + 1) * _padded_rows(tasks[order[count]]) <= MAXIMUM_PADDED_ROWS
        ):
            count += 1
        yield order[:count]
        order = order[count:]


def _padded_rows(task: Task) -> int:
    return -(-len(task.data.windows.inputs) // ROWS_MULTIPLE) * ROWS_MULTIPLE


def _power_of_two(count: int) -> int:
    return 1 << (count - 1).bit_length()


@dataclass
class _Machine:
    """What changes of one machine; its weights are in the arrays of the group."""

    task: Task
    batches: Iterator[Chunks]
    judge: Judge
    state: State
    failure: TrainingError | None = None

    @property
    def is_active(self) -> bool:
        return self.failure is None and not is_finished(self.state, self.task.schedule)

    def steps(self) -> int:
        """Optimiser steps of the next slice."""
        return min(SLICE_STEPS, self.task.schedule.steps - self.state.step) if self.is_active else 0

    def advance(self, steps: int, losses: Floats, weights: Floats, places: int) -> bool:
        """Counts the steps of a slice; returns whether an epoch has ended.

        Args:
            steps: How many.
            losses: Of each step, over all places of a batch.
            weights: Number of targets of each step.
            places: Places for targets in a batch.
        """
        loss = float(np.mean(losses)) * places * steps / float(np.sum(weights)) * self.task.data.target.scale**2
        self.state = replace(self.state, step=self.state.step + steps, loss_sum=self.state.loss_sum + loss * steps)
        return self.state.step == self.task.schedule.steps

    def end_epoch(self, outputs: Floats) -> bool:
        """Judges an epoch; returns whether its weights are the best so far."""
        loss = self.judge(self.task.validation.squared_errors(outputs))
        self.state = after_epoch(self.state, self.task.schedule, loss)
        try:
            refuse_divergence(self.state)
        except TrainingError as error:
            self.failure = error
            return False
        return self.state.since_best == 0


class _Group:
    """Machines that train at once. Arrays on the device have one place more for each machine, in front."""

    def __init__(self, shape: Shape, tasks: Sequence[Task]) -> None:
        first = tasks[0]
        self._batch, self._targets_per_chunk = first.data.batch, first.data.targets_per_chunk
        self._length = shape.length
        network = start_training(shape, self._targets_per_chunk, first.weights)
        self._train, self._predict = programs(network, shape.length, self._targets_per_chunk)
        places = _power_of_two(len(tasks))
        rows = max(map(_padded_rows, tasks))
        inputs = np.zeros((places, rows, shape.features), np.float32)
        targets = np.full((places, rows), np.nan, np.float32)
        chunks = max(sum(map(len, task.validation.inputs)) for task in tasks)
        validation = np.zeros((places, chunks, *first.validation.inputs[0].shape[1:]), np.float32)
        for place, task in enumerate(tasks):
            windows = task.data.windows
            inputs[place, : len(windows.inputs)] = windows.inputs
            targets[place, : len(windows.inputs)] = task.data.target.standardised
            read = np.concatenate(task.validation.inputs)
            validation[place, : len(read)] = read
        self._rows, self._validation = Rows(jnp.asarray(inputs), jnp.asarray(targets)), jnp.asarray(validation)
        padded = [*tasks, *[first] * (places - len(tasks))]
        self._weights = [jnp.stack(arrays) for arrays in zip(*(task.weights for task in padded), strict=True)]
        self._optimizer = [jnp.stack([variable.value] * places) for variable in network.optimizer.variables]
        self._best = self._weights
        outputs = self._outputs(self._weights)
        self._machines = [self._machine(task, outputs[place]) for place, task in enumerate(tasks)]

    def _machine(self, task: Task, outputs: Floats) -> _Machine:
        own = outputs[: len(task.validation.scored)]
        judge, best = task.judge(task.validation.squared_errors(own))
        state = State(task.schedule.learning_rate, best=best)
        return _Machine(task, task.data.batches(task.schedule.seed), judge, state)

    def _outputs(self, weights: list[jax.Array]) -> Floats:
        return np.asarray(self._predict(weights, self._validation))

    def fit(self, reporter: Reporter) -> list[Result | TrainingError]:
        """Trains until every machine has ended."""
        while any(machine.is_active for machine in self._machines):
            ended = self._slice()
            if ended:
                outputs = self._outputs(self._weights)
                better = np.zeros(len(self._rows.targets), np.bool_)
                for place in ended:
                    machine = self._machines[place]
                    better[place] = machine.end_epoch(outputs[place, : len(machine.task.validation.scored)])
                self._best = _chosen(jnp.asarray(better), self._weights, self._best)
            reporter.heartbeat()
            if reporter.should_stop():
                raise TrainingError(Reason.SUSPENDED, "Stopped on request while several machines were trained.")
        outputs = self._outputs(self._best)
        best = [np.asarray(array) for array in self._best]
        return [
            machine.failure
            or Result(
                machine.state,
                [array[place] for array in best],
                outputs[place, : len(machine.task.validation.scored)],
            )
            for place, machine in enumerate(self._machines)
        ]

    def _slice(self) -> list[int]:
        """The next steps of every machine; returns the places of those that have ended an epoch."""
        places = len(self._rows.targets)
        start = np.full((SLICE_STEPS, places, self._batch), self._length, np.int32)
        stop = start.copy()
        active = np.zeros((SLICE_STEPS, places), np.bool_)
        rates, seeds = np.zeros(places, np.float32), np.zeros((places, 2), np.uint32)
        for place, machine in enumerate(self._machines):
            steps, state, schedule = machine.steps(), machine.state, machine.task.schedule
            if not steps:
                continue
            active[:steps, place] = True
            rates[place] = learning_rate(state, schedule, steps)
            seeds[place] = schedule.seed, state.epoch * schedule.steps + state.step
            for step, chunks in enumerate(islice(machine.batches, steps)):
                start[step, place, : len(chunks)] = chunks.start
                stop[step, place, : len(chunks)] = chunks.stop
        before = Trained(self._weights, self._optimizer, seeds)
        after, found = self._train(before, self._rows, rates, Steps(start, stop, active))
        self._weights, self._optimizer = after.weights, after.optimizer
        taken, losses, counts = active.sum(axis=0), *map(np.asarray, found)
        targets = self._batch * self._targets_per_chunk
        return [
            place
            for place, machine in enumerate(self._machines)
            if (steps := int(taken[place]))
            and machine.advance(steps, losses[:steps, place], counts[:steps, place], targets)
        ]


@jax.jit
def _chosen(where: jax.Array, first: list[jax.Array], second: list[jax.Array]) -> list[jax.Array]:
    """For each machine the arrays of ``first`` where it is marked, else those of ``second``."""
    return [_choose(where, *arrays) for arrays in zip(first, second, strict=True)]


def _choose(where: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    return jnp.where(where.reshape(-1, *[1] * (first.ndim - 1)), first, second)
