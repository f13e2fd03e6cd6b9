"""Measures cases, each in a process of its own: wall and CPU seconds, peak memory and what the case reports."""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cluster.programs import failure

_OF_PROCESS = ("seconds", "cpu_seconds", "peak_megabytes")


@dataclass(frozen=True)
class Case:
    """What one process measures.

    Attributes:
        name: Module of this package and function in it, such as ``load.product``.
        arguments: Of the function.
        environment: Of the process, beside that of this one.
    """

    name: str
    arguments: Mapping[str, Any]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measurement:
    """One run of one case.

    Attributes:
        case: The case.
        seconds: Wall time of the whole process, interpreter start and imports included.
        cpu_seconds: User and system time of the process and its children.
        peak_megabytes: Peak resident memory of the process, or of the largest child, in MB.
        values: What the case itself reported.
    """

    case: Case
    seconds: float
    cpu_seconds: float
    peak_megabytes: float
    values: Mapping[str, Any]


def run(case: Case) -> Measurement:
    """Runs one case in a fresh process.

    Raises:
        ProgramError: The case failed.
    """
    print(f"  {case.name} {dict(case.arguments)}", file=sys.stderr, flush=True)
    with (
        tempfile.NamedTemporaryFile("r", suffix=".json") as answer,
        tempfile.TemporaryFile("w+", errors="replace") as said,
    ):
        command = [sys.executable, "-m", "benchmarks.case", case.name, json.dumps(case.arguments), answer.name]
        began = time.perf_counter()
        process = subprocess.Popen(command, env={**os.environ, **case.environment}, stdout=said, stderr=said)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            said.seek(0)
            raise failure(command, process.returncode, said.read())
        cpu_seconds = usage.ru_utime + usage.ru_stime
        return Measurement(case, seconds, cpu_seconds, usage.ru_maxrss / 1000, json.load(answer))


def interleaved(repeats: int, cases: Sequence[Case]) -> list[list[Measurement]]:
    """Runs all cases in turn, ``repeats`` times, so that a drift of the machine affects them equally.

    Returns:
        The measurements of each case.
    """
    rounds = [[run(case) for case in cases] for _ in range(repeats)]
    return [list(measurements) for measurements in zip(*rounds, strict=True)]


def median(measurements: Iterable[Measurement], value: str) -> float:
    """Median of a reported value, or of ``seconds``, ``cpu_seconds`` or ``peak_megabytes``."""
    return statistics.median(
        float(getattr(each, value) if value in _OF_PROCESS else each.values[value]) for each in measurements
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
