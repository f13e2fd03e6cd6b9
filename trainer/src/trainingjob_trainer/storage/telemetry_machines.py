"""Which machines the telemetry table has, and since when."""

from collections.abc import Sequence
from datetime import datetime

from psycopg2 import sql
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import Window
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import column_types, table_identifier, with_connection

# An index that begins with motor_pump gives the next name at once, without reading the rows of a machine.
_NAMES_BY_INDEX = """
WITH RECURSIVE names AS (
    (SELECT motor_pump AS name FROM {table} ORDER BY motor_pump LIMIT 1)
    UNION ALL
    SELECT (SELECT motor_pump FROM {table} WHERE motor_pump > name ORDER BY motor_pump LIMIT 1)
    FROM names WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL
"""
_NAMES = "SELECT DISTINCT motor_pump FROM {table} WHERE motor_pump IS NOT NULL"
_HAS_INDEX = """
SELECT EXISTS (
    SELECT FROM pg_index WHERE indrelid = to_regclass(%s) AND indisvalid AND indpred IS NULL
    AND pg_get_indexdef(indexrelid, 1, false) = 'motor_pump'
)
"""
_EXTENT = """
SELECT min(first), max(last) FROM unnest(%(machines)s::text[]) AS machine, LATERAL (
    SELECT min("timestamp") AS first, max("timestamp") AS last FROM {table}
    WHERE motor_pump = machine AND "timestamp" >= %(start)s AND "timestamp" < %(end)s
) AS period
"""
_FIRST_PLAUSIBLE, _LAST_PLAUSIBLE = "1970-01-01+00", "10000-01-01+00"


def machine_names(table: str) -> list[str]:
    """The names of all machines of a telemetry table, in no order; each of them may be any text.

    Raises:
        TrainingError: DataUnavailable when the table or the server cannot be used.
    """

    def read(session: connection) -> list[str]:
        if "motor_pump" not in column_types(session, table):
            raise TrainingError(
                Reason.DATA_UNAVAILABLE, f"table {table} does not hold telemetry: it has no column motor_pump."
            )
        with session.cursor() as rows:
            rows.execute(_HAS_INDEX, (table_identifier(table).as_string(session),))
            query = _NAMES_BY_INDEX if rows.fetchone() == (True,) else _NAMES
            rows.execute(sql.SQL(query).format(table=table_identifier(table)))
            return [name for (name,) in rows.fetchall()]

    return with_connection(read, reason=Reason.DATA_UNAVAILABLE, read_only=True)


def telemetry_extent(table: str, machines: Sequence[str], window: Window) -> tuple[datetime, datetime] | None:
    """The first and the last instant of some machines in a window; None without any row.

    Raises:
        TrainingError: DataUnavailable when the table or the server cannot be used.
    """

    def read(session: connection) -> tuple[datetime, datetime] | None:
        with session.cursor() as rows:
            rows.execute(
                sql.SQL(_EXTENT).format(table=table_identifier(table)),
                {
                    "machines": list(machines),
                    "start": window.start or _FIRST_PLAUSIBLE,
                    "end": window.end or _LAST_PLAUSIBLE,
                },
            )
            first, last = rows.fetchone() or (None, None)
        return None if first is None else (first, last)

    return with_connection(read, reason=Reason.DATA_UNAVAILABLE, read_only=True)
