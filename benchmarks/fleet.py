"""A fleet beside single runs: the error of models that start from a base, and the time and memory of all of it."""

import contextlib
import json
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.environments import of_product
from benchmarks.goals import Check, at_most
from benchmarks.measure import Case, Measurement, run
from benchmarks.scope import Scope
from benchmarks.table import Row, Table, seconds, thousandths
from benchmarks.telemetry import TRAINER, has_real_series, simulated_fleet, skab_machines, spec
from cluster.programs import run_program
from trainingjob_api.training_run import Window
from trainingjob_trainer.data.dataset import HealthDataset, Telemetry
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.gru.model import GruModel
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.storage.telemetry import load_telemetry

MEGABYTES = 2000
SHARE_OF_SINGLE_RUNS = 0.25

_TEST_START = np.datetime64("2025-06-01", "us")
MODEL = GruModel()


@dataclass(frozen=True)
class Group:
    """Machines that are trained on their own and from their base, and the goals; both are shares of the RMSE.

    Attributes:
        title: What they are.
        machines: Their names.
        mean: Mean RMSE from the base at most; None without a goal.
        worst: RMSE from the base at most, of each machine.
    """

    title: str
    machines: Sequence[str]
    mean: float | None
    worst: float

    def checks(self, mean: float, worst: float) -> Sequence[Check]:
        """The goals."""
        of_mean = [] if self.mean is None else [at_most("mean", mean, self.mean)]
        return [*of_mean, at_most("worst machine", worst, self.worst)]


def errors(machines: Sequence[str]) -> dict[str, Any]:
    """Trains each machine on its own, then all of them from their base, and evaluates both on the same test windows.

    All test parts are shifted to begin at one instant, the boundary, as those of machines that run at the same time do.
    """
    loaded = {machine: _aligned(machine) for machine in machines}
    began = _cpu_seconds()
    base = MODEL.train_base(
        _datasets(loaded), spec("ANY", "gru"), _TEST_START, SilentReporter(), device=Device("CPU", 2)
    )
    base_cpu_seconds = _cpu_seconds() - began
    trained: dict[str, Any] = {}
    for machine, telemetry in loaded.items():
        wanted = spec(machine, "gru")
        try:
            dataset = MODEL.prepare(telemetry, wanted)
            alone = MODEL.train(dataset, wanted, SilentReporter())
        except TrainingError:
            # Too short a history for a validation part; counted in the table.
            continue
        began = _cpu_seconds()
        from_base = MODEL.train(dataset, wanted, SilentReporter(), base=base)
        trained[machine] = {
            "alone": alone.metrics["rmse"],
            "from_base": from_base.metrics["rmse"],
            "ridge": alone.metrics["rmse_ridge"],
            "cpu_seconds": _cpu_seconds() - began,
            "base": from_base.metrics["base"],
        }
    return {"base_cpu_seconds": base_cpu_seconds, "trained": trained}


def memory(machine: str, machines: int) -> dict[str, Any]:
    """Trains a base on many machines that have the rows of one."""
    telemetry = _aligned(machine)

    def datasets() -> Iterator[tuple[str, HealthDataset]]:
        for number in range(machines):
            yield from _datasets({f"{machine}-{number}": replace(telemetry, machine=f"{machine}-{number}")})

    base = MODEL.train_base(datasets(), spec(machine, "gru"), _TEST_START, SilentReporter(), device=Device("CPU", 2))
    return {"trained": base is not None}


def single_runs(machines: Sequence[str]) -> dict[str, Any]:
    """``trainingjob-trainer run`` of each machine, one after the other."""
    return _run_documents(
        _document("TrainingJob", spec(machine, "gru").as_json() | {"reuse": "Never"}) for machine in machines
    )


def fleet_run(machines: Sequence[str]) -> dict[str, Any]:
    """``trainingjob-trainer run`` of all machines as one TrainingFleet."""
    template = {name: value for name, value in spec("ANY", "gru").as_json().items() if name != "machine"}
    fleet = {"machines": {"names": list(machines)}, "template": template | {"reuse": "Never"}}
    return _run_documents([_document("TrainingFleet", fleet)])


def tables(scope: Scope) -> Sequence[Table]:
    """Errors, seconds of whole runs, and memory of the base."""
    short_rows, long_rows = scope.fleet_rows
    long = simulated_fleet(long_rows, scope.fleet_machines)
    groups = [
        Group(f"{short_rows:,} rows, simulated", simulated_fleet(short_rows, scope.fleet_machines), 0.9, 1.02),
        Group(f"{long_rows:,} rows, simulated", long, None, 1.005),
    ]
    if scope.real_series and has_real_series():
        groups.insert(1, Group("about 1,100 rows, SKAB", skab_machines(), 0.98, 1.02))
    measured = [run(Case("fleet.errors", {"machines": group.machines}, of_product())) for group in groups]
    ways = {
        "single runs, one after the other": run(Case("fleet.single_runs", {"machines": long})),
        "one fleet": run(Case("fleet.fleet_run", {"machines": long})),
    }
    in_memory = run(Case("fleet.memory", {"machine": long[0], "machines": scope.base_machines}, of_product()))
    return [_errors(groups, measured), _runs(ways, scope), _memory(in_memory, scope)]


def _errors(groups: Sequence[Group], measured: Sequence[Measurement]) -> Table:
    rows = []
    for group, measurement in zip(groups, measured, strict=True):
        trained: Mapping[str, Any] = measurement.values["trained"]
        ridge, alone, from_base = (
            statistics.mean(each[name] for each in trained.values()) for name in ("ridge", "alone", "from_base")
        )
        worst = max(each["from_base"] / each["alone"] for each in trained.values())
        cells = (
            group.title,
            f"{len(trained)} of {len(group.machines)}",
            *map(thousandths, (ridge, alone, from_base)),
            f"{from_base / alone:.3f}",
            f"{worst:.3f}",
            seconds(measurement.values["base_cpu_seconds"]),
            seconds(statistics.median(each["cpu_seconds"] for each in trained.values())),
        )
        rows.append(Row(cells, group.checks(from_base / alone, worst)))
    headings = ("machines", "trained", "ridge", "alone", "from base", "mean", "worst machine", "CPU of base", "each")
    note = (
        "mean RMSE x 1000 of the test parts, shifted to begin at one instant; mean, worst machine: RMSE from the base "
        "divided by that of the machine trained alone; a machine whose history is too short to be trained is left out"
    )
    return Table("Models from the base of a fleet", headings, rows, measured, note)


def _runs(ways: Mapping[str, Measurement], scope: Scope) -> Table:
    alone, fleet = (each.values["run_seconds"] for each in ways.values())
    rows = [
        Row((way, seconds(each.values["run_seconds"]), seconds(each.values["run_cpu_seconds"])))
        for way, each in ways.items()
    ]
    share = at_most("share of single runs", fleet / alone, SHARE_OF_SINGLE_RUNS)
    rows[-1] = replace(rows[-1], checks=[share])
    title = f"{scope.fleet_machines} machines of {scope.fleet_rows[1]:,} rows, process start to registered models"
    return Table(title, ("way", "seconds", "CPU"), rows, list(ways.values()))


def _memory(found: Measurement, scope: Scope) -> Table:
    check = at_most("peak", found.peak_megabytes, MEGABYTES, " MB")
    rows = [Row((str(scope.base_machines), f"{found.peak_megabytes:.0f} MB", seconds(found.seconds)), [check])]
    title = f"Memory of a base, {scope.fleet_rows[1]:,} rows a machine"
    return Table(title, ("machines", "peak", "whole process"), rows, [found])


def _aligned(machine: str) -> Telemetry:
    """The telemetry of a machine, shifted so that its test part begins at the common instant."""
    wanted = spec(machine, "gru")
    telemetry = load_telemetry(wanted, Window())
    dataset = MODEL.prepare(telemetry, wanted)
    shift = _TEST_START - dataset.timestamps[dataset.test_start]
    return replace(telemetry, timestamps=telemetry.timestamps + shift)


def _datasets(loaded: Mapping[str, Telemetry]) -> Iterator[tuple[str, HealthDataset]]:
    for machine, telemetry in loaded.items():
        # A base learns nothing from too short a history.
        with contextlib.suppress(TrainingError):
            yield machine, MODEL.prepare_for_base(telemetry, spec(machine, "gru"), _TEST_START)


def _document(kind: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "training.pumphealth.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "benchmark"},
        "spec": wanted,
    }


def _run_documents(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    elapsed = 0.0
    with tempfile.TemporaryDirectory() as cache:
        for document in documents:
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                json.dump(document, file)
                file.flush()
                began = time.perf_counter()
                run_program([TRAINER, "run", "-f", file.name], environment={"TRAINER_CACHE_DIR": cache})
                elapsed += time.perf_counter() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"run_seconds": elapsed, "run_cpu_seconds": usage.ru_utime + usage.ru_stime}


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
