"""Loading one machine from PostgreSQL: ``pandas.read_sql`` against the product's ``load_telemetry``."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2

from benchmarks.environments import REFERENCE, of_product
from benchmarks.goals import Check, at_least, at_most
from benchmarks.measure import Case, interleaved, median
from benchmarks.reference import load
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds
from benchmarks.telemetry import simulated, spec
from trainingjob_api.training_run import Window
from trainingjob_trainer.storage.telemetry import load_telemetry

SPEEDUP, EXTRA_MEMORY = 5, 2
MEMORY_GOAL_FROM_ROWS = 100_000


def reference(machine: str) -> dict[str, Any]:
    """The reference reads the very columns that the product reads."""
    columns = [str(name) for name in load_telemetry(spec(machine, "gru"), Window()).values.columns]
    before, began = _reset_peak(), time.perf_counter()
    with psycopg2.connect("") as connection:
        frame = load(connection, machine, columns)
        values = frame[columns].to_numpy(np.float32)
    return _report(began, before, values.nbytes + 8 * len(values), len(values))


def product(machine: str) -> dict[str, Any]:
    """The product also sorts, fingerprints and keeps to a read-only transaction."""
    before, began = _reset_peak(), time.perf_counter()
    telemetry = load_telemetry(spec(machine, "gru"), Window())
    size = int(telemetry.values.memory_usage(index=False).sum()) + telemetry.timestamps.nbytes
    return _report(began, before, size, len(telemetry.timestamps))


def tables(scope: Scope) -> Sequence[Table]:
    """Seconds, and peak memory beside the final arrays."""
    rows, measurements = [], []
    for size in scope.load_sizes:
        arguments = {"machine": simulated(size)}
        found = interleaved(
            scope.repeats,
            [Case("load.reference", arguments, REFERENCE), Case("load.product", arguments, of_product())],
        )
        times = [median(each, "load_seconds") for each in found]
        extra = [median(each, "extra_over_arrays") for each in found]
        cells = (f"{size:,}", *map(seconds, times), f"{times[0] / times[1]:.1f} x", *(f"{each:.1f}" for each in extra))
        rows.append(Row(cells, _checks(size, times[0] / times[1], extra[1])))
        measurements += found
    headings = ("rows", "read_sql", "product", "faster", "read_sql: extra / arrays", "product: extra / arrays")
    return [Table("Loading", headings, rows, measurements, "extra: peak memory beside the final arrays")]


def _checks(size: int, speedup: float, extra: float) -> Sequence[Check]:
    speed = at_least("faster", speedup, SPEEDUP, " x")
    return (speed, at_most("extra / arrays", extra, EXTRA_MEMORY)) if size >= MEMORY_GOAL_FROM_ROWS else (speed,)


def _report(began: float, before: int, array_bytes: int, rows: int) -> dict[str, Any]:
    elapsed = time.perf_counter() - began
    extra = _memory("VmHWM") - before - array_bytes
    return {
        "load_seconds": elapsed,
        "rows": rows,
        "rows_per_second": rows / elapsed,
        "array_megabytes": array_bytes / 1e6,
        "extra_megabytes": extra / 1e6,
        "extra_over_arrays": extra / array_bytes,
    }


def _reset_peak() -> int:
    """Forgets the peak memory so far; returns the memory in use now, in bytes."""
    Path(f"/proc/{os.getpid()}/clear_refs").write_text("5")
    return _memory("VmRSS")


def _memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
