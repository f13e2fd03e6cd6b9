"""Imports a CSV file into the telemetry table in one transaction."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg2 import sql
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.copy import copy_rows, refuse_other_types
from trainingjob_trainer.storage.postgres import column_types, table_identifier, with_connection
from trainingjob_trainer.tools.csv_lines import open_csv
from trainingjob_trainer.tools.csv_reader import Refusals, read_csv
from trainingjob_trainer.tools.existing_rows import ExistingRows

_STAGE = "trainingjob_import"


@dataclass(frozen=True)
class Imported:
    """The result of an import.

    Attributes:
        rows: Number of rows written, by machine.
        existing: Number of rows skipped because they are already in the table, by machine.
        refusals: The refused lines; empty unless refused lines are skipped.
    """

    rows: Counter[str]
    existing: Counter[str]
    refusals: Refusals


def import_csv(
    path: Path,
    table: str = "processed_data",
    *,
    skip_refused: bool = False,
    existing: ExistingRows = ExistingRows.REFUSE,
) -> Imported:
    """Append the rows of a CSV file, optionally compressed by gzip, to the telemetry table. Each row gets a new id.

    Args:
        path: The file; its column ``id`` is ignored.
        table: The telemetry table. It is not changed before all rows are validated.
        skip_refused: Whether to import the valid lines when others are refused.
        existing: What to do with rows that are already in the table.

    Raises:
        TrainingError: DataUnavailable when a line is refused, when no row is left, or when rows are already in the
            table. The message has each kind of fault, its count and the first line numbers. Nothing is written then.
    """
    with open_csv(path):
        pass  # Report another file format before connecting to the server.

    def write(session: connection) -> Imported:
        types = column_types(session, table)
        refuse_other_types(table, types, [])
        known = [name for name, type_name in types.items() if type_name in ("float4", "float8")]
        refusals = Refusals()
        rows: Counter[str] = Counter()
        columns: list[str] = []
        ids = ["id"] if types.get("id") == "uuid" else []
        _create_stage(session, {name: types[name] for name in (*ids, "timestamp", "motor_pump", *known)})
        for frame in read_csv(path, known, refusals):
            # Continue after a refusal, to report all refused lines at once.
            if skip_refused or not refusals.first:
                copy_rows(session, _STAGE, frame)
                rows.update(frame["motor_pump"])
                columns = [*ids, *frame.columns]
        if refusals.first and not (skip_refused and rows):
            raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: nothing was imported. {refusals.summary()}")
        if not rows:
            raise TrainingError(
                Reason.DATA_UNAVAILABLE, f"{path}: nothing was imported: there is no row after the header."
            )
        found = _remove_existing(session, table) if existing is not ExistingRows.ADD else Counter()
        if found and existing is ExistingRows.REFUSE:
            message = _existing_rows_message(found, rows.total(), table)
            raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: nothing was imported. {message}")
        _append_stage(session, table, columns)
        return Imported(rows - found, found, refusals)

    return with_connection(write, reason=Reason.DATA_UNAVAILABLE)


def _existing_rows_message(found: Counter[str], rows: int, table: str) -> str:
    machines = ", ".join(f"{name}: {number}" for name, number in sorted(found.items()))
    return (
        f"{found.total()} of its {rows} rows are already in {table}, by machine and timestamp ({machines}). "
        f"--existing skip imports the other {rows - found.total()}; --existing add imports all of them again."
    )


def _create_stage(session: connection, types: Mapping[str, str]) -> None:
    """Create a temporary table, so that the telemetry table is not changed before all rows are validated."""
    columns = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_name)) for name, type_name in types.items()
    )
    with session.cursor() as cursor:
        cursor.execute(sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(sql.Identifier(_STAGE), columns))


def _remove_existing(session: connection, table: str) -> Counter[str]:
    """Remove the rows that are already in the telemetry table from the stage, and count them by machine."""
    names = {"stage": sql.Identifier(_STAGE), "table": table_identifier(table)}
    with session.cursor() as cursor:
        # Without ANALYZE the planner has no statistics of a temporary table.
        cursor.execute(sql.SQL('ANALYZE {stage} (motor_pump, "timestamp")').format(**names))
        cursor.execute(sql.SQL('SELECT min("timestamp"), max("timestamp") FROM {stage}').format(**names))
        cursor.execute(sql.SQL(_DELETE_EXISTING).format(**names), cursor.fetchone())
        return Counter(dict(cursor.fetchall()))


# The plan hashes the stage and reads the telemetry table once, even without an index.
_DELETE_EXISTING = """
WITH deleted AS (
    DELETE FROM {stage} AS stage USING {table} AS telemetry
    WHERE telemetry.motor_pump = stage.motor_pump AND telemetry."timestamp" = stage."timestamp"
        AND telemetry."timestamp" BETWEEN %s AND %s
    RETURNING stage.motor_pump
)
SELECT motor_pump, count(*) FROM deleted GROUP BY motor_pump
"""


def _append_stage(session: connection, table: str, columns: Sequence[str]) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    command = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {}").format(
        table_identifier(table), names, names, sql.Identifier(_STAGE)
    )
    with session.cursor() as cursor:
        cursor.execute(command)
