"""Writes telemetry to PostgreSQL by binary COPY. numpy encodes one block of rows at a time."""

import io
import os
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psycopg2 import sql
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import column_types, table_identifier

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")
_FLOATS = {"float4": ">f4", "float8": ">f8"}
_TEXTS = ("text", "varchar")
_INSTANTS = ("timestamptz", "timestamp")
_ROWS_AT_ONCE = 20_000

Bytes = NDArray[np.uint8]
Kept = NDArray[np.bool_]


def copy_rows(session: connection, table: str, frame: pd.DataFrame) -> int:
    """Append telemetry to a table. Each row gets a new id.

    Args:
        session: An open connection; the caller commits.
        table: A table with ``timestamp``, ``motor_pump`` and the frame's other columns as ``real`` or
            ``double precision``.
        frame: ``timestamp`` (``datetime64``, UTC), ``motor_pump`` (text) and numbers; NaN is stored as NULL.

    Returns:
        Rows written.

    Raises:
        TrainingError: InvalidConfiguration when the table lacks a column or has it in another type.
    """
    types = column_types(session, table)
    columns = [str(name) for name in frame.columns]
    refuse_other_types(table, types, columns)
    with_id = types.get("id") == "uuid"
    command = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(
        table_identifier(table), sql.SQL(", ").join(map(sql.Identifier, [*columns, *(["id"] if with_id else [])]))
    )
    with session.cursor() as cursor:
        for start in range(0, len(frame), _ROWS_AT_ONCE):
            block = frame.iloc[start : start + _ROWS_AT_ONCE]
            fields = [_field(name, block[name], types[name]) for name in columns]
            if with_id:
                fields.append(_with_length_prefix(_uuids(len(block))))
            cursor.copy_expert(command, io.BytesIO(_HEADER + _records(fields, len(block)) + _TRAILER))
    return len(frame)


def refuse_other_types(table: str, types: Mapping[str, str], columns: list[str]) -> None:
    """Refuse columns that the table lacks or that have another type in it.

    Raises:
        TrainingError: InvalidConfiguration, naming each of them.
    """
    wanted = {name: tuple(_FLOATS) for name in columns} | {"timestamp": _INSTANTS, "motor_pump": _TEXTS}
    wrong = [
        f"{name} ({types.get(name, 'missing')}, needed {' or '.join(allowed)})"
        for name, allowed in wanted.items()
        if types.get(name) not in allowed
    ]
    if wrong:
        raise TrainingError(
            Reason.INVALID_CONFIGURATION,
            f"table {table} does not match the data: {', '.join(wrong)}. Nothing was written.",
        )


def _field(name: str, values: pd.Series, type_name: str) -> tuple[Bytes, Kept]:
    if name == "timestamp":
        instants = values.to_numpy().astype("datetime64[us]") - _POSTGRES_EPOCH
        return _with_length_prefix(_as_bytes(instants.astype(">i8")))
    if name == "motor_pump":
        return _text(values)
    numbers = values.to_numpy(np.float64)
    encoded = numbers.astype(_FLOATS[type_name])
    return _with_length_prefix(_as_bytes(encoded), ~np.isnan(numbers))


def _text(values: pd.Series) -> tuple[Bytes, Kept]:
    encoded = np.array([str(value).encode() for value in values])
    lengths = np.char.str_len(encoded)
    width = encoded.dtype.itemsize
    data = np.hstack((_as_bytes(lengths.astype(">i4")), encoded.view(np.uint8).reshape(-1, width)))
    return data, np.arange(width + 4) < lengths[:, None] + 4


def _with_length_prefix(data: Bytes, present: Kept | None = None) -> tuple[Bytes, Kept]:
    """The bytes of a field after their length; a missing value is a length of -1 without bytes."""
    rows, width = data.shape
    if present is None:
        present = np.ones(rows, np.bool_)
    lengths = np.where(present, width, -1).astype(">i4")
    kept = np.ones((rows, width + 4), np.bool_)
    kept[:, 4:] = present[:, None]
    return np.hstack((_as_bytes(lengths), data)), kept


def _as_bytes(values: NDArray[np.generic]) -> Bytes:
    return np.ascontiguousarray(values).view(np.uint8).reshape(len(values), -1)


def _uuids(rows: int) -> Bytes:
    """Random UUIDs of version 4."""
    data = np.frombuffer(os.urandom(16 * rows), np.uint8).reshape(rows, 16).copy()
    data[:, 6] = data[:, 6] & 0x0F | 0x40
    data[:, 8] = data[:, 8] & 0x3F | 0x80
    return data


def _records(fields: list[tuple[Bytes, Kept]], rows: int) -> bytes:
    count = np.full(rows, len(fields), ">i2")
    data = np.hstack((_as_bytes(count), *(data for data, _ in fields)))
    kept = np.hstack((np.ones((rows, 2), np.bool_), *(kept for _, kept in fields)))
    return data[kept].tobytes()
