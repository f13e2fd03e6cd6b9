"""The pool: rows of many machines with equal features, to train one network on all of them.

The inputs of a machine are scaled by its own scaler and its targets by their own mean and deviation, so that machines
with different sensors look alike. Memory is bounded: where there are too many rows, each machine keeps evenly spaced
stretches of its own.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from trainingjob_trainer.data.arrays import Floats, Integers
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.data.windows import Windows, all_windows
from trainingjob_trainer.models.gru.baselines import last_score
from trainingjob_trainer.models.gru.chunks import Chunks, TrainingData
from trainingjob_trainer.models.gru.target import Target, standardise

MAXIMUM_VALUES = 48 * 2**20
"""Number of inputs and targets in the pool at most: 192 MiB, and as much again while they are put together."""

_STRETCH = 10
"""Windows in a kept stretch: enough that few of its rows are without a target."""


@dataclass(frozen=True)
class MachineRows:
    """The rows of one machine.

    Attributes:
        machine: Its name.
        features: Names of the inputs, in order.
        fingerprint: Of its telemetry.
        inputs: Scaled, shape (rows, features).
        targets: Standardised, shape (rows,); NaN where a row is no target.
        runs: Stretches (start, stop) of consecutive rows, shape (runs, 2).
    """

    machine: str
    features: tuple[str, ...]
    fingerprint: str
    inputs: Floats
    targets: Floats
    runs: Integers

    @property
    def values(self) -> int:
        """Number of values in memory."""
        return self.inputs.size + self.targets.size

    def thinned(self, length: int) -> "MachineRows":
        """Every second stretch of the rows; a stretch has the rows of ``_STRETCH`` windows of ``length``, at most."""
        stretches = [
            (first, min(first + _STRETCH * length, stop))
            for start, stop in self.runs.tolist()
            for first in range(start, stop, _STRETCH * length)
        ][::2]
        rows = np.concatenate([np.arange(start, stop) for start, stop in stretches])
        ends = np.cumsum([stop - start for start, stop in stretches])
        runs = np.column_stack((np.r_[0, ends[:-1]], ends))
        return replace(self, inputs=self.inputs[rows], targets=self.targets[rows], runs=runs)


def machine_rows(dataset: HealthDataset, length: int, *, residual: bool) -> MachineRows:
    """What a network learns of one machine.

    Args:
        dataset: All of its rows are used.
        length: Rows in a window.
        residual: Whether the network predicts the change from the last score.

    Raises:
        TrainingError: InsufficientData when there is no window.
    """
    windows = all_windows(dataset, length)
    target = standardise(windows, last_score(dataset.health, dataset.scaler, dataset.features) if residual else None)
    return MachineRows(
        dataset.machine,
        dataset.features,
        dataset.summary.fingerprint,
        windows.inputs,
        target.standardised,
        windows.runs,
    )


class Pool:
    """Collects machines; what it keeps of each does not depend on the order in which they are added."""

    def __init__(self, length: int, maximum_values: int = MAXIMUM_VALUES) -> None:
        """Starts empty.

        Args:
            length: Rows in a window.
            maximum_values: See ``MAXIMUM_VALUES``.
        """
        self._length, self._maximum_values = length, maximum_values
        self._machines: list[MachineRows] = []
        self._halvings = 0

    def add(self, rows: MachineRows) -> None:
        """Adds a machine, and thins out all of them while they are too many."""
        for _ in range(self._halvings):
            rows = rows.thinned(self._length)
        self._machines.append(rows)
        while (before := self._values()) > self._maximum_values:
            self._machines = [machine.thinned(self._length) for machine in self._machines]
            self._halvings += 1
            if self._values() == before:
                break

    def _values(self) -> int:
        return sum(machine.values for machine in self._machines)

    def most_common(self) -> list[MachineRows]:
        """The machines with the most common features, by name."""
        counts = Counter(machine.features for machine in self._machines)
        # The names decide between equal counts, and not the order in which the machines were added.
        features = min(counts, key=lambda each: (-counts[each], each), default=())
        return sorted((each for each in self._machines if each.features == features), key=lambda each: each.machine)


@dataclass(frozen=True)
class PooledData(TrainingData):
    """Training data of many machines, one after the other in the arrays of ``windows``.

    Attributes:
        windows_of_machine: Number of windows of each machine, shape (machines,).
        stop_of_run: Row after the run that each window is in, shape (windows,).
    """

    windows_of_machine: Integers
    stop_of_run: Integers

    @property
    def steps_in_pass(self) -> int:
        """Optimiser steps that see as many targets as there are."""
        return -(-len(self.windows) // (self.targets_per_chunk * self.batch))

    def batches(self, seed: int) -> Iterator[Chunks]:
        """Endless batches of chunks; for each chunk a machine is drawn, then one of its targets to start at."""
        target_rows = self.windows.target_rows
        first = np.cumsum(self.windows_of_machine) - self.windows_of_machine
        for step in count():
            random = np.random.default_rng((seed, step))
            machine = random.integers(len(first), size=self.batch)
            window = first[machine] + random.integers(self.windows_of_machine[machine])
            start = target_rows[window]
            yield Chunks(start, np.minimum(start + self.targets_per_chunk, self.stop_of_run[window]))


def pooled(machines: Sequence[MachineRows], length: int, targets_per_chunk: int, batch: int) -> PooledData:
    """Puts the rows of machines with equal features together.

    Args:
        machines: At least one, which has a window.
        length: Rows in a window.
        targets_per_chunk: Rows of a chunk with a target, at most.
        batch: Chunks of an optimiser step.
    """
    inputs = np.concatenate([machine.inputs for machine in machines])
    targets = np.concatenate([machine.targets for machine in machines])
    starts, stops, windows_of_machine = [], [], []
    offset = 0
    for machine in machines:
        target_rows = np.concatenate([np.arange(start + length, stop) for start, stop in machine.runs])
        stop = np.concatenate([np.full(max(stop - start - length, 0), stop) for start, stop in machine.runs])
        usable = np.isfinite(machine.targets[target_rows])
        # The stretches that are kept of a machine may be too short for any window.
        if usable.any():
            starts.append(offset + target_rows[usable] - length)
            stops.append(offset + stop[usable])
            windows_of_machine.append(np.count_nonzero(usable))
        offset += len(machine.targets)
    runs = np.empty((0, 2), np.int64)
    windows = Windows(inputs, targets, targets, length, np.concatenate(starts), runs)
    target = Target(None, 1.0, 0.0, targets)
    return PooledData(
        windows,
        target,
        targets_per_chunk,
        batch,
        lambda network: 0.0,
        np.array(windows_of_machine),
        np.concatenate(stops),
    )
