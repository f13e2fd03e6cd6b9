"""``make bench-together``: many machines at once on a GPU beside one after the other, with the goals of a fleet.

Without a GPU everything runs on the CPU, where a worker trains one machine after the other and the goals are missed.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.fleet import MODEL
from benchmarks.goals import at_most
from benchmarks.measure import Case, Measurement, machine, run
from benchmarks.table import Row, Table, print_table, seconds, thousandths, wide_console, write_results
from benchmarks.telemetry import dataset, servers, simulated_fleet, spec
from cluster.programs import ProgramError
from trainingjob_trainer.data.dataset import TrainedModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.run.device import cpu_threads, process_environment, visible_gpus

TRAINING_SECONDS, RUN_SECONDS = 60, 180
WORST_RMSE = 1.005


def at_once(machines: Sequence[str]) -> dict[str, Any]:
    """Trains and evaluates all machines at once from random weights; compilation is part of the seconds."""
    loaded = [(dataset(spec(name, "gru")), spec(name, "gru")) for name in machines]
    _import_libraries()
    began = time.perf_counter()
    trained = MODEL.train_many(loaded, SilentReporter(), device=_device())
    elapsed = time.perf_counter() - began
    found = {
        name: model.metrics["rmse"]
        for name, model in zip(machines, trained, strict=True)
        if isinstance(model, TrainedModel)
    }
    return {"train_seconds": elapsed, "rmse": found}


def one_by_one(machines: Sequence[str]) -> dict[str, Any]:
    """The same, one machine after the other."""
    loaded = [(dataset(spec(name, "gru")), spec(name, "gru")) for name in machines]
    _import_libraries()
    began = time.perf_counter()
    found = {}
    for name, (data, wanted) in zip(machines, loaded, strict=True):
        found[name] = MODEL.train(data, wanted, SilentReporter(), device=_device()).metrics["rmse"]
    return {"train_seconds": time.perf_counter() - began, "rmse": found}


def main() -> None:
    """Measures and prints the tables."""
    parser = argparse.ArgumentParser(prog="make bench-together", description=__doc__)
    parser.add_argument("--machines", type=int, default=256, help="trained at once (default: 256)")
    parser.add_argument("--rows", type=int, default=20_000, help="of each machine (default: 20000)")
    parser.add_argument("--alone", type=int, default=8, help="of them also trained one by one (default: 8)")
    arguments = parser.parse_args()
    console = wide_console()
    console.print({**machine(), "gpus": visible_gpus()})
    with servers():
        names = simulated_fleet(arguments.rows, arguments.machines)
        environment = process_environment(_device(), os.environ)
        many = run(Case("fleet_together.at_once", {"machines": names}, environment))
        few = run(Case("fleet_together.one_by_one", {"machines": names[: arguments.alone]}, environment))
        whole = run(Case("fleet.fleet_run", {"machines": names}))
    tables = [_training(arguments.rows, many, few), _run(arguments.rows, len(names), whole)]
    for table in tables:
        print_table(console, table)
    console.print(str(write_results("fleet-together", tables)))


def _training(rows: int, many: Measurement, few: Measurement) -> Table:
    together, alone = many.values["rmse"], few.values["rmse"]
    ratios = [together[name] / error for name, error in alone.items() if name in together]
    checks = [
        at_most("seconds", many.values["train_seconds"], TRAINING_SECONDS, " s"),
        at_most("worst RMSE against alone", max(ratios, default=None), WORST_RMSE),
    ]
    table_rows = [Row(_cells("at once", many), checks), Row(_cells("one after the other", few))]
    headings = ("way", "machines", "seconds", "seconds a machine", "mean RMSE x 1000")
    measurements = [many, few]
    return Table(f"Training of machines of {rows:,} rows, evaluation included", headings, table_rows, measurements)


def _cells(way: str, measurement: Measurement) -> Sequence[str]:
    elapsed, found = measurement.values["train_seconds"], measurement.values["rmse"]
    count = max(1, len(found))
    mean = thousandths(statistics.mean(found.values())) if found else "-"
    return way, str(len(found)), seconds(elapsed), seconds(elapsed / count), mean


def _run(rows: int, machines: int, whole: Measurement) -> Table:
    elapsed = whole.values["run_seconds"]
    row = Row((str(machines), seconds(elapsed)), [at_most("seconds", elapsed, RUN_SECONDS, " s")])
    title = f"One fleet of machines of {rows:,} rows, process start to registered models, its base included"
    return Table(title, ("machines", "seconds"), [row], [whole])


def _device() -> Device:
    return Device("GPU" if visible_gpus() else "CPU", cpu_threads(os.environ))


def _import_libraries() -> None:
    """What a worker imports while it loads telemetry."""
    from trainingjob_trainer.models.gru import together  # noqa: F401


if __name__ == "__main__":
    try:
        main()
    except ProgramError as failure:
        sys.exit(f"error: {failure}")
