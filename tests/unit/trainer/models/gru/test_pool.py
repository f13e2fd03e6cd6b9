"""A pool holds rows of many machines in bounded memory, and draws a machine for each chunk."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from trainingjob_trainer.models.gru.pool import MachineRows, Pool, pooled

LENGTH, ROWS, STRETCH_ROWS = 4, 400, 40


def rows_of(machine: str, rows: int = ROWS, features: tuple[str, ...] = ("Oil_P", "Cool_T")) -> MachineRows:
    """Every input and target tells the machine and the row; every tenth row has no target."""
    number = np.arange(rows, dtype=np.float32) + 1000 * ord(machine[-1])
    targets = np.where(np.arange(rows) % 10 == 9, np.float32(np.nan), number)
    inputs = np.repeat(number[:, None], len(features), axis=1)
    runs = np.array([[0, rows // 2], [rows // 2, rows]])
    return MachineRows(machine, features, "f" * 64, inputs, targets, runs)


def pool_of(names: str, maximum_values: int) -> list[MachineRows]:
    pool = Pool(LENGTH, maximum_values)
    for name in names:
        pool.add(rows_of(name))
    return pool.most_common()


def test_all_rows_are_kept_where_there_is_room() -> None:
    kept = pool_of("abc", 3 * 3 * ROWS)
    assert [len(each.targets) for each in kept] == [ROWS] * 3


@pytest.mark.parametrize("maximum_values", [3 * 3 * ROWS - 1, 3 * ROWS, 1000])
def test_each_machine_keeps_evenly_spaced_stretches_within_the_limit(maximum_values: int) -> None:
    kept = pool_of("abc", maximum_values)
    assert sum(each.values for each in kept) <= maximum_values
    assert len({len(each.targets) for each in kept}) == 1
    for each in kept:
        for start, stop in each.runs:
            assert np.array_equal(np.diff(each.inputs[start:stop, 0]), np.ones(stop - start - 1))
            assert stop - start == STRETCH_ROWS
        firsts = each.inputs[each.runs[:, 0], 0]
        assert len(set(np.diff(firsts))) <= 1


def test_what_is_kept_does_not_depend_on_the_order_of_machines() -> None:
    for one, other in zip(pool_of("abcde", 2500), pool_of("edcba", 2500), strict=True):
        assert one.machine == other.machine
        assert np.array_equal(one.inputs, other.inputs)
        assert np.array_equal(one.runs, other.runs)


def test_a_stretch_of_each_machine_is_kept_however_many_there_are() -> None:
    assert {len(each.targets) for each in pool_of("abcdefgh", 1)} == {STRETCH_ROWS}


def test_chunks_come_from_one_run_of_one_machine_and_from_all_machines() -> None:
    machines = [rows_of("a"), rows_of("b", 40), replace(rows_of("c", 30), runs=np.array([[0, 3], [3, 30]]))]
    data = pooled(machines, LENGTH, targets_per_chunk=6, batch=8)
    seen = []
    for chunks in islice(data.batches(seed=3), 60):
        inputs, targets, weights = data.gather([chunks])
        for chunk in range(8):
            scored = weights[chunk] > 0
            assert scored[0]
            first = targets[chunk, 0, 0]
            assert np.array_equal(targets[chunk, scored, 0], first + np.flatnonzero(scored))
            # The target at position i is the row after the window that ends at input row length - 1 + i.
            assert np.array_equal(inputs[chunk, LENGTH - 1 : LENGTH + 5, 0][scored], targets[chunk, scored, 0] - 1)
            assert inputs[chunk, 0, 0] == first - LENGTH
            seen.append(int(first) // 1000)
    shares = np.unique(seen, return_counts=True)[1] / len(seen)
    assert shares == pytest.approx([1 / 3] * 3, abs=0.07)


def test_batches_are_a_function_of_the_seed() -> None:
    data = pooled([rows_of("a"), rows_of("b")], LENGTH, 6, 8)
    one, again, other = ([chunks.start.tolist() for chunks in islice(data.batches(seed), 5)] for seed in (1, 1, 2))
    assert one == again
    assert one != other
