"""Import of a CSV file into the telemetry table: all of it in one transaction, or nothing."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from psycopg2.extensions import connection

from trainingjob_trainer.copy_rows import copy_rows
from trainingjob_trainer.csv_telemetry import Refusals, read_csv
from trainingjob_trainer.database import column_types, with_connection
from trainingjob_trainer.errors import TrainingError


@dataclass(frozen=True)
class Imported:
    """What an import did.

    Attributes:
        rows: Rows written, by machine.
        refusals: The lines left out; none, unless that was asked for.
    """

    rows: Counter[str]
    refusals: Refusals


def import_csv(path: Path, table: str = "processed_data", *, skip_refused: bool = False) -> Imported:
    """Append the rows of a CSV file, gzipped or not, to the telemetry table, each under a fresh id.

    Args:
        path: The file; a column ``id`` in it is not used.
        table: Where to.
        skip_refused: Whether the right lines are imported when others are refused.

    Raises:
        TrainingError: DataUnavailable, with every kind of fault, its count and the first line numbers, when a line is
            refused; nothing was written then.
    """

    def write(session: connection) -> Imported:
        refusals = Refusals()
        rows: Counter[str] = Counter()
        types = column_types(session, table)
        known = [name for name, type_name in types.items() if type_name in ("float4", "float8")]
        for frame in read_csv(path, known, refusals):
            # Read on after a refusal, so that the person hears of all of them at once.
            if skip_refused or not refusals.first:
                copy_rows(session, table, frame)
                rows.update(frame["motor_pump"])
        if refusals.first and not skip_refused:
            raise TrainingError("DataUnavailable", f"{path}: nothing was imported. {refusals.told()}")
        return Imported(rows, refusals)

    return with_connection(write, reason="DataUnavailable")
