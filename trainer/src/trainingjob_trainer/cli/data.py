"""The commands around a training: simulate, import, init-db and fetch."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.cli.app import app, exit_on_error, exit_with_error
from trainingjob_trainer.tools.existing_rows import ExistingRows

if TYPE_CHECKING:
    from psycopg2.extensions import connection

_CHECKPOINT_DAYS = 30
_SIMULATED_FROM = datetime(2025, 1, 1)

Table = Annotated[str, typer.Option(help="Telemetry table.")]


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

    with exit_on_error():
        if csv is not None:
            try:
                with csv.open("w") as stream:
                    written = write_csv(chain.from_iterable(frames(name) for name in machine), stream)
            except OSError as error:
                message = f"{csv} cannot be written: {error.strerror}"
                raise exit_with_error(Reason.INVALID_CONFIGURATION, message, ExitCode.CONFIGURATION) from error
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

    with exit_on_error():
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

    with exit_on_error():
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
    fleet_reference: Annotated[
        str | None,
        typer.Option("--fleet", help="NAMESPACE/NAME#RUN or NAMESPACE/NAME: only models of this TrainingFleet."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder to create; by default TYPE_MACHINE_TIMESTAMP in the current folder.")
    ] = None,
    bucket: Annotated[str, typer.Option(help="Bucket of the models.")] = "models",
) -> None:
    """Download the newest registered model with its scaler and safe copies, verify it, and write model-card.json."""
    from trainingjob_trainer.storage.registered_rows import RunReference
    from trainingjob_trainer.tools.fetch import fetch_model

    if run_reference and fleet_reference:
        raise typer.BadParameter("--run and --fleet exclude each other.", param_hint="--fleet")
    try:
        reference = RunReference.parse(run_reference) if run_reference else None
        if fleet_reference:
            reference = RunReference.of_fleet(RunReference.parse(fleet_reference), machine)
    except ValueError as error:
        raise typer.BadParameter(f"{error}.", param_hint="--fleet" if fleet_reference else "--run") from error
    with exit_on_error():
        typer.echo(fetch_model(machine, model_type, output, run=reference, bucket=bucket))
