"""Measures cases, each in a process of its own: seconds, peak memory and what the case reports."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.programs import failure

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Measurement:
    """One run of one case.

    Attributes:
        case: Name of the case.
        arguments: What it was called with.
        seconds: Wall time of the whole process, interpreter start and imports included.
        peak_megabytes: Peak resident memory of the process, in MB.
        values: What the case itself reported.
    """

    case: str
    arguments: Mapping[str, Any]
    seconds: float
    peak_megabytes: float
    values: Mapping[str, Any]


def run(case: str, environment: Mapping[str, str] | None = None, **arguments: Any) -> Measurement:
    """Runs one case of ``benchmarks.cases`` in a fresh process.

    Raises:
        ProgramError: The case failed.
    """
    with (
        tempfile.NamedTemporaryFile("r", suffix=".json") as answer,
        tempfile.TemporaryFile("w+", errors="replace") as said,
    ):
        command = [sys.executable, "-m", "benchmarks.cases", case, json.dumps(arguments), answer.name]
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **(environment or {})}, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            raise failure(command, process.returncode, said.read())
        return Measurement(case, arguments, seconds, usage.ru_maxrss / 1000, json.load(answer))


def interleaved(repeats: int, variants: Sequence[tuple[str, Mapping[str, Any]]]) -> dict[int, list[Measurement]]:
    """Runs all variants in turn, ``repeats`` times, so that a drift of the machine affects them equally.

    Returns:
        The measurements by the variant's place in ``variants``.
    """
    found: dict[int, list[Measurement]] = {place: [] for place in range(len(variants))}
    for repeat in range(repeats):
        for place, (case, arguments) in enumerate(variants):
            print(f"  {case} {dict(arguments)} ({repeat + 1} of {repeats})", file=sys.stderr, flush=True)
            found[place].append(run(case, **arguments))
    return found


def median(measurements: Iterable[Measurement], value: str) -> float:
    """Median of a reported value, or of ``seconds`` or ``peak_megabytes``."""
    return statistics.median(
        float(getattr(each, value) if value in ("seconds", "peak_megabytes") else each.values[value])
        for each in measurements
    )


def machine() -> dict[str, Any]:
    """The properties of the machine that affect times: processor, cores, memory, versions."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "memoryGigabytes": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_results(name: str, table: object, measurements: object) -> Path:
    """Writes one bench as JSON with the facts of the machine; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    file.write_text(json.dumps({"machine": machine(), "table": table, "measurements": measurements}, indent=2))
    return file
