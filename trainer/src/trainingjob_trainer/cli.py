"""The command line. Each command imports its modules when it is called, so that ``--help`` is fast."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, TypeVar

import typer

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.names import METRICS_PORT, TERMINATION_LOG, TRAINING_FLEET_VARIABLE, TRAINING_JOB_VARIABLE
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.log import log_for_pod, log_to_stderr
from trainingjob_trainer.storage.redaction import redact
from trainingjob_trainer.tools.existing_rows import ExistingRows

if TYPE_CHECKING:
    from psycopg2.extensions import connection

    from trainingjob_api.training_run import TrainingRun
    from trainingjob_trainer.run.result import RunResult

logger = logging.getLogger(__name__)

Run = TypeVar("Run")

_CHECKPOINT_DAYS = 30
_SIMULATED_FROM = datetime(2025, 1, 1)

app = typer.Typer(
    help="Train the gru and xgb models of motor-pumps, store them in S3 and register them in PostgreSQL.",
    epilog="Environment variables: PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD, PGSSLMODE for PostgreSQL; "
    "S3_ENDPOINT, S3_ACCESS_KEY, S3_SECRET_KEY, S3_REGION, S3_SECURE, S3_CA_FILE, or the same with prefix MINIO_, for "
    "the object store. "
    "Exit codes: 0 done, 2 wrong usage, 10 configuration, 11 data, 12 object store, 13 registry, 14 stopped, "
    "15 accelerator missing, 16 gate failed, 17 diverged, 18 too many machines failed, 1 any other error. "
    "Each error is a line `error: REASON: MESSAGE` on stderr.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Rich's boxes break words at the edge of the terminal.
    rich_markup_mode=None,
)

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
Table = Annotated[str, typer.Option(help="Telemetry table.")]


app.callback()(log_to_stderr)


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
    with _exit_on_error():
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
        raise _exit(result.reason, result.message, result.exit_code)
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
        raise _exit(result.reason, result.message, result.exit_code)
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

    with _exit_on_error():
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


def _machine_names(names: list[str]) -> list[str]:
    from trainingjob_api.values import machine_name

    for name in names:
        try:
            machine_name(name)
        except ValueError as error:
            raise typer.BadParameter(f"{name!r} {error}.") from error
    return names


def _since_1970(start: datetime) -> datetime:
    if start.year < 1970:
        raise typer.BadParameter("must be 1970 or later, because earlier rows are not used for training.")
    return start


@app.command()
def simulate(  # noqa: PLR0913, PLR0917 - each is an option of the command
    machine: Annotated[
        list[str], typer.Option(help="Name of a machine; may be given several times.", callback=_machine_names)
    ],
    rows: Annotated[int, typer.Option(min=1, help="Number of rows of each machine.")] = 20_000,
    start: Annotated[
        datetime, typer.Option(help="First instant, UTC, from 1970 on.", callback=_since_1970)
    ] = _SIMULATED_FROM,
    step: Annotated[float, typer.Option(min=0.1, help="Mean seconds between two rows.")] = 10.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random numbers.")] = 42,
    table: Table = "processed_data",
    csv: Annotated[Path | None, typer.Option(help="Write to this CSV file instead of the database.")] = None,
) -> None:
    """Write simulated telemetry with starts, stops, drifts before failures, gaps and false readings."""
    from functools import partial
    from itertools import chain

    from trainingjob_trainer.storage.copy import copy_rows
    from trainingjob_trainer.storage.postgres import with_connection
    from trainingjob_trainer.tools.simulate import simulate as sessions
    from trainingjob_trainer.tools.simulate import write_csv

    frames = partial(sessions, start=start.replace(tzinfo=UTC), rows=rows, step_seconds=step, seed=seed)

    with _exit_on_error():
        if csv is not None:
            try:
                with csv.open("w") as stream:
                    written = write_csv(chain.from_iterable(frames(name) for name in machine), stream)
            except OSError as error:
                message = f"{csv} cannot be written: {error.strerror}"
                raise _exit(Reason.INVALID_CONFIGURATION, message, ExitCode.CONFIGURATION) from error
            typer.echo(f"{csv}: {written} rows")
            return
        for name in machine:

            def write(session: "connection", name: str = name) -> int:
                return sum(copy_rows(session, table, frame) for frame in frames(name))

            typer.echo(f"{name}: {with_connection(write, reason=Reason.DATA_UNAVAILABLE)} rows in {table}")


@app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV file with a header, optionally gzipped.", exists=True, dir_okay=False)
    ],
    table: Table = "processed_data",
    skip_refused: Annotated[bool, typer.Option(help="Import the valid rows when others are refused.")] = False,
    existing: Annotated[
        ExistingRows, typer.Option(help="What to do with rows whose machine and timestamp are already in the table.")
    ] = ExistingRows.REFUSE,
) -> None:
    """Append the rows of a CSV file to the telemetry table in one transaction.

    The header has the names of the table's columns. Each row has a timestamp with a time zone, from 1970 on, a
    motor_pump that is a valid spec.machine, and numbers; an empty field is a missing value. When a line is refused,
    when there is no row, or when rows are already in the table, nothing is imported and the exit code is 11. The
    message has the numbers of the refused lines.
    """
    from trainingjob_trainer.tools.importer import import_csv

    with _exit_on_error():
        imported = import_csv(file, table, skip_refused=skip_refused, existing=existing)
    for name in sorted({*imported.rows, *imported.existing}):
        skipped = f"; {imported.existing[name]} rows skipped, already in the table" if imported.existing[name] else ""
        typer.echo(f"{name}: {imported.rows[name]} rows imported into {table}{skipped}")
    if imported.refusals.first:
        typer.echo(imported.refusals.summary(), err=True)


@app.command("init-db")
def init_db(
    bucket: Annotated[str | None, typer.Option(help="Also create this bucket if it does not exist.")] = None,
) -> None:
    """Create the missing ones of the tables processed_data, models, training_runs and those of fleets; alter none."""
    from trainingjob_trainer.storage.object_store import ObjectStore
    from trainingjob_trainer.storage.postgres import create_tables, with_connection

    with _exit_on_error():
        with_connection(create_tables, reason=Reason.REGISTRY_FAILED)
        typer.echo("Tables processed_data, models, training_runs, fleet_runs, fleet_machines and fleet_tasks exist.")
        if bucket is not None:
            store = ObjectStore.from_environment(os.environ, bucket)
            created = store.create_bucket()
            expiring = store.expire("checkpoints/", _CHECKPOINT_DAYS)
            typer.echo(f"Bucket {bucket} {'was created' if created else 'exists already'}.")
            if expiring:
                typer.echo(f"Checkpoints of abandoned runs are removed after {_CHECKPOINT_DAYS} days.")


@app.command()
def fetch(
    machine: Annotated[str, typer.Option(help="Name of the machine.")],
    model_type: Annotated[str, typer.Option("--type", help="gru or xgb.")],
    run_reference: Annotated[
        str | None,
        typer.Option("--run", help="NAMESPACE/NAME#RUN or NAMESPACE/NAME: only models of this run or TrainingJob."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to create; by default TYPE_MACHINE_TIMESTAMP in the current folder.")
    ] = None,
    bucket: Annotated[str, typer.Option(help="Bucket of the models.")] = "models",
) -> None:
    """Download the newest registered model with its scaler and safe copies, verify it, and write model-card.json."""
    from trainingjob_trainer.storage.registered_rows import RunReference
    from trainingjob_trainer.tools.fetch import fetch_model

    try:
        reference = RunReference.parse(run_reference) if run_reference else None
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--run") from error
    with _exit_on_error():
        typer.echo(fetch_model(machine, model_type, output, run=reference, bucket=bucket))


@contextmanager
def _exit_on_error() -> Iterator[None]:
    """Exit with the message and the exit code of a TrainingError."""
    try:
        yield
    except TrainingError as error:
        raise _exit(error.reason, error.message, error.exit_code) from error


def _exit(reason: str, message: str, code: ExitCode) -> typer.Exit:
    """Print each fault on its own line; an indented line continues the previous fault."""
    lines = re.sub(r"^(?=\S)", f"error: {reason}: ", redact(message, os.environ), flags=re.MULTILINE)
    typer.echo(lines, err=True)
    return typer.Exit(code)
