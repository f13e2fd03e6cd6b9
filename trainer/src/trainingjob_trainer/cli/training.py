"""The commands that train, or say what a training would do: run, work and check."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.names import METRICS_PORT, TERMINATION_LOG, TRAINING_FLEET_VARIABLE, TRAINING_JOB_VARIABLE
from trainingjob_trainer.cli.app import app, exit_on_error, exit_with_error
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.log import log_for_pod

if TYPE_CHECKING:
    from trainingjob_api.training_run import TrainingRun
    from trainingjob_trainer.run.result import RunResult

logger = logging.getLogger(__name__)

Run = TypeVar("Run")

RunFile = Annotated[
    Path,
    typer.Option("--file", "-f", help="YAML of one TrainingJob or TrainingFleet.", exists=True, dir_okay=False),
]
OptionalFile = Annotated[
    Path | None,
    typer.Option(
        "--file",
        "-f",
        help="YAML of one TrainingJob or TrainingFleet; without it, TRAINING_JOB.",
        exists=True,
        dir_okay=False,
    ),
]
TerminationLog = Annotated[
    Path | None, typer.Option(help=f"Path of the termination message; without --file {TERMINATION_LOG}.")
]
MetricsPort = Annotated[int | None, typer.Option(help=f"Port of /metrics; without --file {METRICS_PORT}.")]


@app.command()
def run(file: OptionalFile = None, termination_log: TerminationLog = None, metrics_port: MetricsPort = None) -> None:
    """Train one model, publish it and register it; or adopt an equal model that is registered.

    With the file of a TrainingFleet, do so for each of its machines.
    """
    from trainingjob_trainer.documents.training_job import read_training_run
    from trainingjob_trainer.run.device import visible_gpus, with_local_accelerator
    from trainingjob_trainer.run.process import RuntimeConfig, launch

    if file is None:
        log_for_pod()
        path = termination_log or Path(TERMINATION_LOG)
        training_run = _read_environment(TRAINING_JOB_VARIABLE, read_training_run, path)
        log_for_pod(training_run)
        _exit_with(launch(training_run, RuntimeConfig(path, metrics_port or METRICS_PORT)))
    with exit_on_error():
        found = _read(file)
    if isinstance(found, FleetRun):
        _run_fleet(with_local_accelerator(found, visible_gpus()), termination_log, metrics_port)
    else:
        _run_training(with_local_accelerator(found, visible_gpus()), termination_log, metrics_port)


@app.command()
def work(termination_log: TerminationLog = None, metrics_port: MetricsPort = None) -> None:
    """Take part in a run of a TrainingFleet, which the variable TRAINING_FLEET describes, until it is over.

    Several workers share the machines of a run. Exit code 18: more machines failed than maxFailedPercent allows.
    """
    from trainingjob_trainer.documents.training_fleet import read_fleet_run
    from trainingjob_trainer.fleet.process import launch_worker
    from trainingjob_trainer.run.process import RuntimeConfig

    log_for_pod()
    path = termination_log or Path(TERMINATION_LOG)
    fleet = _read_environment(TRAINING_FLEET_VARIABLE, read_fleet_run, path)
    log_for_pod(fleet)
    _exit_with(launch_worker(fleet, RuntimeConfig(path, metrics_port or METRICS_PORT)))


def _exit_with(result: "RunResult") -> NoReturn:
    level = logging.ERROR if result.outcome == "Failed" else logging.INFO
    logger.log(level, "%s: %s", result.reason, result.message)
    raise typer.Exit(result.exit_code)


def _run_training(training_run: "TrainingRun", termination_log: Path | None, metrics_port: int | None) -> NoReturn:
    from rich.console import Console

    from trainingjob_trainer.run.process import RuntimeConfig, launch
    from trainingjob_trainer.run.terminal import TerminalBar

    with TerminalBar(Console(stderr=True)) as bar:
        result = launch(training_run, RuntimeConfig(termination_log, metrics_port, [bar]))
    _print_result(training_run, result)
    raise typer.Exit(result.exit_code)


def _run_fleet(fleet: FleetRun, termination_log: Path | None, metrics_port: int | None) -> NoReturn:
    from rich.console import Console

    from trainingjob_trainer.fleet.process import launch_worker
    from trainingjob_trainer.fleet.terminal import FleetBar, machine_table
    from trainingjob_trainer.run.process import RuntimeConfig
    from trainingjob_trainer.storage.ledger import Ledger

    bar = FleetBar(Console(stderr=True))
    with bar:
        result = launch_worker(fleet, RuntimeConfig(termination_log, metrics_port), bar.show)
    if result.summary.machines:
        Console().print(machine_table(Ledger(fleet.uid, fleet.run, "").entries()))
        for artifact in result.summary.artifacts:
            typer.echo(f"{artifact['name']}: {artifact['uri']}")
    if result.outcome == "Failed":
        raise exit_with_error(result.reason, result.message, result.exit_code)
    typer.echo(f"{result.reason}: {result.message}")
    raise typer.Exit(result.exit_code)


def _read_environment(variable: str, read: Callable[[str], Run], termination_path: Path) -> Run:
    """Read the run from the environment; when it is invalid, write a termination message and exit."""
    from trainingjob_trainer.run.process import write_termination
    from trainingjob_trainer.run.result import result_of

    try:
        return read(os.environ.get(variable, ""))
    except TrainingError as error:
        write_termination(termination_path, None, result_of(error))
        logger.error("%s: %s", error.reason, error.message)
        raise typer.Exit(error.exit_code) from error


def _print_result(training_run: "TrainingRun", result: "RunResult") -> None:
    from rich.console import Console

    from trainingjob_trainer.models.factory import ModelFactory
    from trainingjob_trainer.run.terminal import rich_table

    if result.summary.metrics:
        table = ModelFactory.create(training_run.spec.model.type).result_table(result.summary.metrics)
        Console().print(rich_table(table))
    if result.outcome == "Failed":
        raise exit_with_error(result.reason, result.message, result.exit_code)
    typer.echo(f"{result.reason}: {result.message}")


def _read(file: Path) -> "TrainingRun | FleetRun":
    from trainingjob_trainer.documents.run_of_file import load_run
    from trainingjob_trainer.documents.yaml_documents import decode_yaml

    return load_run(decode_yaml(file.read_bytes()))


@app.command()
def check(file: RunFile) -> None:
    """Load, clean and count the data of a TrainingJob or of each machine of a TrainingFleet, without training.

    The exit code is 10 when the API server would refuse the file, and 11 when the data cannot be used for training: for
    a TrainingFleet, when that holds for more machines than maxFailedPercent allows.
    """
    from trainingjob_trainer.tools.check import check as check_data

    with exit_on_error():
        found = _read(file)
        if isinstance(found, FleetRun):
            _check_fleet(found)
        else:
            typer.echo(check_data(found.spec, found.window))


def _check_fleet(fleet: FleetRun) -> None:
    from trainingjob_trainer.fleet.check import check_machines, refuse_too_many
    from trainingjob_trainer.fleet.worker import selected_machines

    selection = selected_machines(fleet, lambda: None)
    for note in selection.notes:
        typer.echo(f"warning: {note}", err=True)
    checks = []
    for machine in check_machines(fleet, selection):
        typer.echo(str(machine))
        checks.append(machine)
    refuse_too_many(fleet, checks)
