"""Chunks train every target of every window once a pass, from nothing but the rows of its run that came before."""

from itertools import islice

import numpy as np
import pytest

from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.gru.chunks import batches, gather, tile


@pytest.mark.parametrize("targets_per_chunk", [1, 3, 8, 50])
@pytest.mark.parametrize("phase", [0, 1, 7])
def test_each_target_is_in_exactly_one_chunk(sequences: Sequences, targets_per_chunk: int, phase: int) -> None:
    windows = sequences.training
    chunks = tile(windows, targets_per_chunk, phase % targets_per_chunk)
    counted = np.zeros(len(windows.targets), int)
    for start, stop in zip(chunks.start, chunks.stop, strict=True):
        counted[start:stop] += 1
    wanted = np.zeros(len(windows.targets), int)
    wanted[windows.target_rows] = 1
    assert np.array_equal(np.where(np.isfinite(windows.targets), counted, 0), wanted)
    assert (chunks.stop - chunks.start <= targets_per_chunk).all()


@pytest.mark.parametrize("targets_per_chunk", [1, 3, 8])
def test_a_target_follows_at_least_one_window_of_its_segment(sequences: Sequences, targets_per_chunk: int) -> None:
    windows = sequences.training
    rows = np.arange(len(windows.targets), dtype=np.float32)
    numbered = type(windows)(**{**vars(windows), "inputs": rows[:, None]})
    chunks = tile(windows, targets_per_chunk)
    inputs, targets, weights = gather(
        numbered, np.where(np.isfinite(windows.targets), rows, np.nan), chunks, targets_per_chunk, len(chunks) + 2
    )
    seen = set()
    for chunk, place in np.argwhere(weights):
        target = int(targets[chunk, place, 0])
        read = inputs[chunk, : windows.length + place, 0].astype(int)
        run = windows.runs[np.searchsorted(windows.runs[:, 0], target, side="right") - 1]
        assert np.array_equal(read, np.arange(target - len(read), target))
        assert run[0] <= read[0] < target < run[1]
        seen.add(target)
    assert seen == set(windows.target_rows)


def test_chunks_with_one_target_equal_the_windows(sequences: Sequences) -> None:
    windows = sequences.training
    inputs, targets, weights = gather(windows, windows.targets, tile(windows, 1), 1, len(windows))
    expected_inputs, expected_targets = windows.gather(slice(None))
    assert np.array_equal(inputs, expected_inputs)
    assert np.array_equal(targets[:, 0, 0], expected_targets)
    assert weights.all()


def test_padding_in_a_batch_or_a_chunk_has_no_weight(sequences: Sequences) -> None:
    windows = sequences.training
    chunks = tile(windows, 8)[:3]
    inputs, targets, weights = gather(windows, windows.targets, chunks, 8, 5)
    assert inputs.shape == (5, 15, windows.inputs.shape[1])
    assert not weights[3:].any()
    assert np.isfinite(targets).all()
    assert weights.sum() == sum(
        np.isfinite(windows.targets[a:b]).sum() for a, b in zip(chunks.start, chunks.stop, strict=True)
    )


def test_batches_depend_on_the_seed_and_each_pass_covers_all_data(sequences: Sequences) -> None:
    windows = sequences.training

    def rows_of(seed: int, first: int, count: int) -> list[list[int]]:
        return [chunks.start.tolist() for chunks in islice(batches(windows, 8, 4, seed), first, first + count)]

    assert rows_of(3, 0, 20)[11:] == rows_of(3, 11, 9)
    assert rows_of(3, 0, 20) != rows_of(4, 0, 20)
    trained: list[int] = []
    stream = batches(windows, 8, 4, 3)
    while len(trained) < len(windows):
        chunks = next(stream)
        for start, stop in zip(chunks.start, chunks.stop, strict=True):
            trained += [row for row in range(start, stop) if np.isfinite(windows.targets[row])]
    assert sorted(trained) == windows.target_rows.tolist()
