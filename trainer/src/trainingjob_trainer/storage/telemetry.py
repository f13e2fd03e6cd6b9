"""Loading of one machine's telemetry from PostgreSQL: only what is needed, sorted by the server, streamed in binary.

COPY gives every row as one record of the same length, because NULL is sent as NaN; numpy reads records in blocks.
"""

import hashlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_api.values import KEY_COLUMNS
from trainingjob_trainer.data.dataset import Telemetry, UnreadableColumn
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.storage.postgres import column_types, table_identifier, with_connection

_BLOCK_BYTES = 1 << 20
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")
# As double precision: PostgreSQL refuses to make 1e-60 a real, or of a numeric 1e400 or 1e-400 a double precision.
_CASTS = {
    "float8": "{0}",
    "bool": "{0}::integer::float8",
    "numeric": "CASE WHEN {0} = 'NaN' THEN 'NaN' WHEN {0} >= 1e308 THEN 'Infinity' WHEN {0} <= -1e308 THEN '-Infinity' "
    "WHEN abs({0}) < 1e-300 THEN 0 ELSE {0}::float8 END",
}
_NUMERIC_TYPES = ("float4", "float8", "numeric", "int2", "int4", "int8", "bool")
_ARGUMENTS_OF_A_FUNCTION = 100
_INSTANTS = {"timestamptz": '"timestamp"', "timestamp": "\"timestamp\" AT TIME ZONE 'UTC'"}
# A clock that was never set says year 1 or a year BC. Beyond 9999 no date can be written.
_PLAUSIBLE = "\"timestamp\" >= '1970-01-01' AND \"timestamp\" < '10000-01-01'"
_IMPLAUSIBLE = "(\"timestamp\" < '1970-01-01' OR \"timestamp\" >= '10000-01-01')"
_IGNORED = "rows before 1970 or after 9999, ignored"


def load_telemetry(spec: TrainingJobSpec, window: Window) -> Telemetry:
    """Load the telemetry of the spec's machine, retried after transient trouble.

    Raises:
        TrainingError: DataUnavailable when table or server cannot be used, InsufficientData without any row.
    """
    return with_connection(
        lambda session: read_telemetry(session, spec, window), reason=Reason.DATA_UNAVAILABLE, read_only=True
    )


def read_telemetry(session: connection, spec: TrainingJobSpec, window: Window) -> Telemetry:
    """Read the telemetry of the spec's machine over an open connection.

    Args:
        session: Its transaction should be read-only.
        spec: Says machine, table, and by the model which columns.
        window: Half open; a side that is None is open.

    Raises:
        TrainingError: DataUnavailable when the table cannot be used, InsufficientData without any row.
    """
    types = column_types(session, spec.data.table)
    columns = wanted_columns(spec, types)
    rows = _Rows(columns, hashlib.sha256("\n".join((spec.machine, *columns)).encode()))
    query = _query(spec, window, types, columns)
    with session.cursor() as cursor, io.BufferedWriter(rows, _BLOCK_BYTES) as stream:
        cursor.copy_expert(sql.SQL("COPY ({}) TO STDOUT (FORMAT binary)").format(query), stream)
        stream.flush()
    timestamps, values = rows.arrays()
    ignored = _ignored_rows(session, spec, window, types)
    if not len(timestamps):
        raise TrainingError(Reason.INSUFFICIENT_DATA, _nothing_found(session, spec, ignored))
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
        f"Column timestamp of table {spec.data.table} has no time zone: its instants are taken as UTC. If they are "
        "local time, periods are shifted and a clock change repeats an hour; make it timestamptz.",
    )


def wanted_columns(spec: TrainingJobSpec, types: Mapping[str, str]) -> tuple[str, ...]:
    """The numeric columns of the table that the spec's model may use, in the order of the table.

    Args:
        spec: Its model type says which columns it needs.
        types: Column to type.
    """
    numeric = [name for name, type_name in types.items() if type_name in _NUMERIC_TYPES and name not in KEY_COLUMNS]
    return ModelFactory.create(spec.model.type).columns(spec, numeric)


def _unreadable_columns(
    session: connection, spec: TrainingJobSpec, types: Mapping[str, str]
) -> Mapping[str, UnreadableColumn]:
    """The columns that the model would be trained on, were they numeric."""
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
    """How many rows of the window have an instant that no machine can have seen."""
    if window.start is not None and window.end is not None:
        return 0
    conditions = [*_of_window(spec, window, types), sql.SQL(_IMPLAUSIBLE)]
    query = sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
        table_identifier(spec.data.table), sql.SQL(" AND ").join(conditions)
    )
    with session.cursor() as cursor:
        cursor.execute(query)
        (count,) = cursor.fetchone() or (0,)
    return int(count)


def _of_window(spec: TrainingJobSpec, window: Window, types: Mapping[str, str]) -> list[sql.Composable]:
    instant = sql.SQL(_INSTANTS[types["timestamp"]])
    conditions: list[sql.Composable] = [sql.SQL("motor_pump = {}").format(sql.Literal(spec.machine))]
    if window.start is not None:
        conditions.append(sql.SQL("{} >= {}").format(instant, sql.Literal(window.start)))
    if window.end is not None:
        conditions.append(sql.SQL("{} < {}").format(instant, sql.Literal(window.end)))
    return conditions


def _query(spec: TrainingJobSpec, window: Window, types: Mapping[str, str], columns: Sequence[str]) -> sql.Composable:
    if types.get("timestamp") not in _INSTANTS or "motor_pump" not in types or not columns:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"table {spec.data.table} cannot be read as telemetry: it needs timestamp (timestamptz), motor_pump and "
            f"numeric columns; it has {', '.join(f'{name} ({type_name})' for name, type_name in types.items())}.",
        )
    instant = sql.SQL(_INSTANTS[types["timestamp"]])
    names = {name: sql.Identifier(name) for name in columns}
    casts = {name: sql.SQL(_CASTS.get(types[name], "{}::float8")).format(names[name]) for name in columns}
    conditions = [*_of_window(spec, window, types), sql.SQL(_PLAUSIBLE)]
    # Without an id the values themselves decide between rows of one instant.
    last = [sql.Identifier("id")] if "id" in types else list(names.values())
    return sql.SQL(
        'SELECT {instant}, {values} FROM {table} WHERE {conditions} ORDER BY "timestamp", {number_of_values}, {last}'
    ).format(
        instant=instant,
        values=sql.SQL(", ").join(sql.SQL("coalesce({}, 'NaN')").format(cast) for cast in casts.values()),
        table=table_identifier(spec.data.table),
        conditions=sql.SQL(" AND ").join(conditions),
        number_of_values=sql.SQL(" + ").join(
            sql.SQL("num_nonnulls({})").format(
                sql.SQL(", ").join(list(names.values())[start : start + _ARGUMENTS_OF_A_FUNCTION])
            )
            for start in range(0, len(names), _ARGUMENTS_OF_A_FUNCTION)
        ),
        last=sql.SQL(", ").join(last),
    )


class _Rows(io.RawIOBase):
    """Takes the bytes of a binary COPY and keeps them as arrays, block by block."""

    def __init__(self, columns: Sequence[str], digest: "hashlib._Hash") -> None:
        self.digest = digest
        self._columns = columns
        fields = [("fields", ">i2"), ("instant_length", ">i4"), ("instant", ">i8")]
        for index in range(len(columns)):
            fields += [(f"length{index}", ">i4"), (f"value{index}", ">f8")]
        self._record = np.dtype(fields)
        self._rest = b""
        self._awaits_header = True
        self._instants: list[NDArray[np.int64]] = []
        self._values: list[NDArray[np.float32]] = []

    def writable(self) -> bool:
        return True

    def write(self, block: Any, /) -> int:
        data = self._rest + bytes(block)
        if self._awaits_header:
            if not data.startswith(_HEADER):
                raise ValueError("PostgreSQL sent something else than its binary COPY format")
            data = data[len(_HEADER) :]
            self._awaits_header = False
        whole = len(data) - len(data) % self._record.itemsize
        self._rest = data[whole:]
        if whole:
            self.digest.update(memoryview(data)[:whole])
            self._keep(np.frombuffer(data, self._record, count=whole // self._record.itemsize))
        return len(block)

    def _keep(self, records: NDArray[np.void]) -> None:
        lengths_hold = (records["fields"] == len(self._columns) + 1) & (records["instant_length"] == 8)
        values = np.empty((len(self._columns), len(records)), np.float32)
        with np.errstate(over="ignore"):
            for index in range(len(self._columns)):
                lengths_hold &= records[f"length{index}"] == 8
                values[index] = records[f"value{index}"]
        if not lengths_hold.all():
            raise ValueError("PostgreSQL sent a row of another length than it was asked for")
        self._instants.append(records["instant"].astype(np.int64))
        self._values.append(values)

    def arrays(self) -> tuple[NDArray[np.datetime64], pd.DataFrame]:
        if self._rest != _TRAILER:
            raise ValueError("PostgreSQL's answer ended in the middle of a row")
        instants = np.concatenate([np.empty(0, np.int64), *self._instants])
        values = np.empty((len(self._columns), len(instants)), np.float32)
        row = 0
        self._values.reverse()
        while self._values:
            # Popped, so that blocks are given back while the whole grows.
            block = self._values.pop()
            values[:, row : row + block.shape[1]] = block
            row += block.shape[1]
        frame = pd.DataFrame(values.T, columns=list(self._columns), copy=False)
        return _POSTGRES_EPOCH + instants.astype("timedelta64[us]"), frame


def _nothing_found(session: connection, spec: TrainingJobSpec, ignored: int) -> str:
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
        return f"machine {spec.machine}: table {spec.data.table} has no row of it. Upper and lower case count."
    found = f"machine {spec.machine}: table {spec.data.table} has rows from {first} to {last}"
    if ignored:
        return f"{found}; all {ignored} in this period lie before 1970 or after 9999 and are ignored."
    return f"{found}, none in this period."
