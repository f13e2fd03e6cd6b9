"""Loading one machine: ``pandas.read_sql`` against binary COPY into float32."""

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg2

from benchmarks.reference import load
from benchmarks.telemetry import spec
from trainingjob_api.training_run import Window
from trainingjob_trainer.storage.telemetry import load_telemetry


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


def _report(began: float, before: int, array_bytes: int, rows: int) -> dict[str, Any]:
    seconds = time.perf_counter() - began
    extra = _memory("VmHWM") - before - array_bytes
    return {
        "load_seconds": seconds,
        "rows": rows,
        "rows_per_second": rows / seconds,
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
