"""Loads the telemetry of one machine from PostgreSQL by binary COPY: needed columns only, sorted by the server.

NULL is sent as NaN, so every row is a record of the same length, and numpy decodes the records in blocks. An index on
``(motor_pump, "timestamp")`` saves the server the sort.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_api.values import KEY_COLUMNS
from trainingjob_trainer.data.dataset import Telemetry, UnreadableColumn
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.storage.packed_rows import BLOCK_BYTES, RowDecoder, packed
from trainingjob_trainer.storage.postgres import column_types, table_identifier, with_connection

# Values are cast to double precision: PostgreSQL cannot cast 1e-60 to real, nor the numeric 1e400 or 1e-400 to float8.
_CASTS = {
    "float8": "{0}",
    "bool": "{0}::integer::float8",
    "numeric": "CASE WHEN {0} = 'NaN' THEN 'NaN' WHEN {0} >= 1e308 THEN 'Infinity' WHEN {0} <= -1e308 THEN '-Infinity' "
    "WHEN abs({0}) < 1e-300 THEN 0 ELSE {0}::float8 END",
}
_NUMERIC_TYPES = ("float4", "float8", "numeric", "int2", "int4", "int8", "bool")
_MAXIMUM_FUNCTION_ARGUMENTS = 100
_INSTANTS = {"timestamptz": '"timestamp"', "timestamp": "\"timestamp\" AT TIME ZONE 'UTC'"}
# A clock that was never set gives year 1 or a year BC. Python cannot represent a year after 9999.
_PLAUSIBLE = "\"timestamp\" >= '1970-01-01' AND \"timestamp\" < '10000-01-01'"
_IMPLAUSIBLE = "(\"timestamp\" < '1970-01-01' OR \"timestamp\" >= '10000-01-01')"
# JIT compilation takes longer than it saves. A scan in the order of an index needs no sort, but it reads the pages of
# the table one at a time, which is slow from a disk. So it is preferred only when the table fits in the cache.
_PREFER_INDEX_ORDER = """
SELECT set_config('jit', 'off', true), CASE WHEN EXISTS (
    SELECT FROM pg_index
    JOIN pg_class AS telemetry ON telemetry.oid = indrelid
    WHERE indrelid = to_regclass(%s) AND indisvalid AND indpred IS NULL
        AND pg_get_indexdef(indexrelid, 1, false) = 'motor_pump'
        AND pg_get_indexdef(indexrelid, 2, false) = '"timestamp"'
        AND NOT telemetry.relhassubclass
        AND pg_relation_size(indrelid) <= pg_size_bytes(current_setting('effective_cache_size'))
) THEN set_config('enable_sort', 'off', true) END
"""
_RUNNING = ("running", "Eng_RPM")
_IGNORED = "rows before 1970 or after 9999, ignored"


@dataclass(frozen=True)
class RowCounts:
    """How many rows a machine has.

    Attributes:
        rows: All of them.
        running: Those with the engine running; where no column tells, all of them.
        values: Running rows with a value, by column of the table.
    """

    rows: int
    running: int
    values: Mapping[str, int]


def count_rows(spec: TrainingJobSpec, window: Window) -> RowCounts:
    """Count the telemetry of the spec's machine, without loading it; transient errors are retried.

    Raises:
        TrainingError: DataUnavailable when the table or the server cannot be used.
    """
    return with_connection(
        lambda session: _count_rows(session, spec, window), reason=Reason.DATA_UNAVAILABLE, read_only=True
    )


def _count_rows(session: connection, spec: TrainingJobSpec, window: Window) -> RowCounts:
    types = column_types(session, spec.data.table)
    columns = wanted_columns(spec, types)
    _refuse_other_tables(spec, types, columns)
    casts = _casts(types, columns)
    sources = (spec.data.columns.get(name, name) for name in _RUNNING)
    speeds = [casts[name] for name in sources if name in casts]
    is_running = sql.SQL("coalesce({}) > 0").format(sql.SQL(", ").join([*speeds, sql.SQL("1")]))
    query = sql.SQL("SELECT count(*), count(*) FILTER (WHERE {running}), {values} FROM {table} WHERE {where}").format(
        running=is_running,
        values=sql.SQL(", ").join(
            sql.SQL("count(nullif({}, 'NaN')) FILTER (WHERE {})").format(cast, is_running) for cast in casts.values()
        ),
        table=table_identifier(spec.data.table),
        where=sql.SQL(" AND ").join([*_window_conditions(spec, window, types), sql.SQL(_PLAUSIBLE)]),
    )
    with session.cursor() as cursor:
        cursor.execute(query)
        rows, running, *values = cursor.fetchone() or (0, 0)
    return RowCounts(rows, running, dict(zip(columns, values, strict=True)))


def load_telemetry(spec: TrainingJobSpec, window: Window) -> Telemetry:
    """Load the telemetry of the spec's machine; transient errors are retried.

    Raises:
        TrainingError: DataUnavailable when the table or the server cannot be used, InsufficientData without any row.
    """
    return with_connection(
        lambda session: read_telemetry(session, spec, window), reason=Reason.DATA_UNAVAILABLE, read_only=True
    )


def read_telemetry(session: connection, spec: TrainingJobSpec, window: Window) -> Telemetry:
    """Read the telemetry of the spec's machine from an open connection.

    Args:
        session: A connection, preferably with a read-only transaction.
        spec: The machine and the table; the model decides which columns are read.
        window: Half-open; a side that is None is unbounded.

    Raises:
        TrainingError: DataUnavailable when the table cannot be used, InsufficientData without any row.
    """
    types = column_types(session, spec.data.table)
    columns = wanted_columns(spec, types)
    rows = RowDecoder(columns, hashlib.sha256("\n".join((spec.machine, *columns)).encode()))
    query = _query(spec, window, types, columns)
    with session.cursor() as cursor, io.BufferedWriter(rows, BLOCK_BYTES) as stream:
        cursor.execute(_PREFER_INDEX_ORDER, (table_identifier(spec.data.table).as_string(session),))
        cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query), stream)
        stream.flush()
    timestamps, values = rows.arrays()
    ignored = _ignored_rows(session, spec, window, types)
    if not len(timestamps):
        raise TrainingError(Reason.INSUFFICIENT_DATA, _no_rows_message(session, spec, ignored))
    return Telemetry(
        spec.machine,
        timestamps,
        values,
        rows.digest.hexdigest(),
        unreadable=_unreadable_columns(session, spec, types),
        counts={_IGNORED: ignored} if ignored else {},
        warnings=_warnings(spec, types),
    )


def _warnings(spec: TrainingJobSpec, types: Mapping[str, str]) -> tuple[str, ...]:
    if types["timestamp"] != "timestamp":
        return ()
    return (
        f"Column timestamp of table {spec.data.table} has no time zone, so its values are read as UTC. If they are "
        "local time, periods are shifted and a clock change repeats an hour; change the type to timestamptz.",
    )


def wanted_columns(spec: TrainingJobSpec, types: Mapping[str, str]) -> tuple[str, ...]:
    """The numeric columns that the spec's model may use, in the order of the table.

    Args:
        spec: The spec; its model type selects the columns.
        types: The type of each column.
    """
    numeric = [name for name, type_name in types.items() if type_name in _NUMERIC_TYPES and name not in KEY_COLUMNS]
    return ModelFactory.create(spec.model.type).columns(spec, numeric)


def _unreadable_columns(
    session: connection, spec: TrainingJobSpec, types: Mapping[str, str]
) -> Mapping[str, UnreadableColumn]:
    """The columns that the model would use if they were numeric."""
    sensors = ModelFactory.create(spec.model.type).sensors(spec).union(spec.data.columns.values())
    names = [name for name, type_name in types.items() if name in sensors and type_name not in _NUMERIC_TYPES]
    if not names:
        return {}
    with session.cursor() as cursor:
        cursor.execute(
            sql.SQL("SELECT {counts} FROM {table} WHERE motor_pump = {machine}").format(
                counts=sql.SQL(", ").join(sql.SQL("count({})").format(sql.Identifier(name)) for name in names),
                table=table_identifier(spec.data.table),
                machine=sql.Literal(spec.machine),
            )
        )
        counts = cursor.fetchone() or ()
    return {name: UnreadableColumn(types[name], count) for name, count in zip(names, counts, strict=True)}


def _ignored_rows(session: connection, spec: TrainingJobSpec, window: Window, types: Mapping[str, str]) -> int:
    """Number of rows in the window with an implausible timestamp."""
    if window.start is not None and window.end is not None:
        return 0
    conditions = [*_window_conditions(spec, window, types), sql.SQL(_IMPLAUSIBLE)]
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
        table_identifier(spec.data.table), sql.SQL(" AND ").join(conditions)
    )
    with session.cursor() as cursor:
        cursor.execute(query)
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def _window_conditions(spec: TrainingJobSpec, window: Window, types: Mapping[str, str]) -> list[sql.Composable]:
    instant = sql.SQL(_INSTANTS[types["timestamp"]])
    conditions: list[sql.Composable] = [sql.SQL("motor_pump = {}").format(sql.Literal(spec.machine))]
    if window.start is not None:
        conditions.append(sql.SQL("{} >= {}").format(instant, sql.Literal(window.start)))
    if window.end is not None:
        conditions.append(sql.SQL("{} < {}").format(instant, sql.Literal(window.end)))
    return conditions


def _refuse_other_tables(spec: TrainingJobSpec, types: Mapping[str, str], columns: Sequence[str]) -> None:
    if types.get("timestamp") not in _INSTANTS or "motor_pump" not in types or not columns:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"table {spec.data.table} does not hold telemetry: it must have timestamp (timestamptz), motor_pump and "
            f"numeric columns; it has {', '.join(f'{name} ({type_name})' for name, type_name in types.items())}.",
        )


def _casts(types: Mapping[str, str], columns: Sequence[str]) -> Mapping[str, sql.Composable]:
    """The columns as double precision."""
    return {name: sql.SQL(_CASTS.get(types[name], "{}::float8")).format(sql.Identifier(name)) for name in columns}


def _query(spec: TrainingJobSpec, window: Window, types: Mapping[str, str], columns: Sequence[str]) -> sql.Composable:
    _refuse_other_tables(spec, types, columns)
    instant = sql.SQL(_INSTANTS[types["timestamp"]])
    names = {name: sql.Identifier(name) for name in columns}
    casts = _casts(types, columns)
    conditions = [*_window_conditions(spec, window, types), sql.SQL(_PLAUSIBLE)]
    # Without an id, the values decide the order of rows with equal timestamps.
    tie_breakers = [sql.Identifier("id")] if "id" in types else list(names.values())
    return sql.SQL(
        "SELECT {instant}, {values} FROM {table} WHERE {conditions} "
        'ORDER BY "timestamp", {number_of_values}, {tie_breakers}'
    ).format(
        instant=instant,
        values=packed([sql.SQL("coalesce({}, 'NaN')").format(cast) for cast in casts.values()]),
        table=table_identifier(spec.data.table),
        conditions=sql.SQL(" AND ").join(conditions),
        number_of_values=sql.SQL(" + ").join(
            sql.SQL("num_nonnulls({})").format(
                sql.SQL(", ").join(list(names.values())[start : start + _MAXIMUM_FUNCTION_ARGUMENTS])
            )
            for start in range(0, len(names), _MAXIMUM_FUNCTION_ARGUMENTS)
        ),
        tie_breakers=sql.SQL(", ").join(tie_breakers),
    )


def _no_rows_message(session: connection, spec: TrainingJobSpec, ignored: int) -> str:
    with session.cursor() as cursor:
        table = table_identifier(spec.data.table)
        cursor.execute(
            sql.SQL('SELECT min("timestamp")::text, max("timestamp")::text FROM {} WHERE motor_pump = %s').format(
                table
            ),
            (spec.machine,),
        )
        first, last = cursor.fetchone() or (None, None)
    if first is None:
        return f"machine {spec.machine}: table {spec.data.table} has no row of this machine. Names are case-sensitive."
    found = f"machine {spec.machine}: table {spec.data.table} has rows from {first} to {last}"
    if ignored:
        return f"{found}; all {ignored} rows of this period are before 1970 or after 9999 and are ignored."
    return f"{found}, but none in this period."
