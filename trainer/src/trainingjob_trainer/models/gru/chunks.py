"""Chunks: runs of consecutive rows for training a GRU, so that neighbouring targets share the computation.

A window of ``length`` rows costs ``length`` steps of the GRU for one target. A chunk has ``length`` rows of warm-up,
then ``targets_per_chunk`` rows with a target each. It costs two steps a target when ``targets_per_chunk`` equals
``length``; with ``targets_per_chunk`` 1 a chunk is a window. Everything random is a function of the seed and the number
of the pass.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.data.arrays import Floats, Integers
from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.models.gru.target import Target

if TYPE_CHECKING:
    import keras

Weights = list[NDArray[np.float32]]


@dataclass(frozen=True)
class Chunks:
    """Stretches of rows whose targets are trained on together; no row of theirs is outside the target's windows.

    Attributes:
        start: Row of the first target of each chunk, shape (chunks,).
        stop: Row after its last target; at most ``targets_per_chunk`` rows after ``start``.
    """

    start: Integers
    stop: Integers

    def __len__(self) -> int:
        return len(self.start)

    def __getitem__(self, chosen: slice | Integers) -> "Chunks":
        return Chunks(self.start[chosen], self.stop[chosen])


def tile(windows: Windows, targets_per_chunk: int, phase: int = 0) -> Chunks:
    """Cuts the targets of windows into chunks, each target into exactly one.

    Args:
        windows: Those of the training part.
        targets_per_chunk: Rows from the first to the last target of a chunk, at most.
        phase: Rows that the first chunk of each run is shortened by, below ``targets_per_chunk``.
    """
    targets = windows.target_rows
    run = np.searchsorted(windows.runs[:, 0], targets, side="right") - 1
    number = (targets - windows.runs[run, 0] - windows.length + phase) // targets_per_chunk
    begin = np.flatnonzero(np.r_[True, (run[1:] != run[:-1]) | (number[1:] != number[:-1])])
    end = np.r_[begin[1:], len(targets)]
    return Chunks(targets[begin], targets[end - 1] + 1)


def batches(windows: Windows, targets_per_chunk: int, batch: int, seed: int) -> Iterator[Chunks]:
    """Endless batches of chunks: pass after pass over all targets, cut and shuffled anew each time.

    The last batch of a pass may be smaller. Taking up at batch n means skipping n, which gathers nothing.
    """
    for number in count():
        random = np.random.default_rng((seed, number))
        chunks = tile(windows, targets_per_chunk, int(random.integers(targets_per_chunk)))
        order = random.permutation(len(chunks))
        for first in range(0, len(order), batch):
            yield chunks[order[first : first + batch]]


def gather(
    windows: Windows, standardised: Floats, chunks: Chunks, targets_per_chunk: int, batch: int
) -> tuple[Floats, Floats, Floats]:
    """Reads the rows of one batch from the resident arrays.

    Args:
        windows: Those of the training part.
        standardised: What the network shall say for each row, shape (rows,); NaN where a row has no target.
        chunks: At most ``batch`` chunks; those missing get weight 0.
        targets_per_chunk: Rows with a target at most.
        batch: Chunks of a batch.

    Returns:
        Inputs of shape (batch, length + scored - 1, features), targets (batch, scored, 1), and weights
        (batch, scored): 1 for a target of the chunk, else 0. Rows after a chunk's last target repeat the last one;
        the GRU never looks ahead, so they change nothing.
    """
    length, missing = windows.length, batch - len(chunks)
    start = np.r_[chunks.start, np.full(missing, length)][:, None]
    stop = np.r_[chunks.stop, np.full(missing, length)][:, None]
    target_rows = start + np.arange(targets_per_chunk)
    targets = standardised[np.minimum(target_rows, np.maximum(stop - 1, start))]
    weights = ((target_rows < stop) & np.isfinite(targets)).astype(np.float32)
    input_rows = start - length + np.arange(length + targets_per_chunk - 1)
    input_rows = np.minimum(input_rows, np.maximum(stop - 2, start - 1))
    return windows.inputs[input_rows], np.nan_to_num(targets)[..., None], weights


@dataclass(frozen=True)
class TrainingData:
    """Training data and validation of the network.

    Attributes:
        windows: Those of the training part without its validation tail.
        target: The target of the network for each row.
        targets_per_chunk: Rows of a chunk with a target, at most.
        batch: Chunks of an optimiser step.
        validation_loss: The loss of a network on the validation part, in units of the score.
    """

    windows: Windows
    target: Target
    targets_per_chunk: int
    batch: int
    validation_loss: "Callable[[keras.Model], float]"

    @property
    def steps_in_pass(self) -> int:
        """Optimiser steps of one pass over all targets."""
        return -(-len(tile(self.windows, self.targets_per_chunk)) // self.batch)

    def batches(self, seed: int) -> Iterator[Chunks]:
        """Endless batches of chunks, one for each optimiser step."""
        return batches(self.windows, self.targets_per_chunk, self.batch, seed)

    def gather(self, steps: Sequence[Chunks]) -> tuple[Floats, Floats, Floats]:
        """Inputs, targets and weights of several optimiser steps, one after the other."""
        parts = [
            gather(self.windows, self.target.standardised, chunks, self.targets_per_chunk, self.batch)
            for chunks in steps
        ]
        inputs, targets, weights = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return inputs, targets, weights
