"""Sends rows of numbers in few fields of a binary COPY, and decodes them into arrays.

The server spends most of the time of a COPY on the output of single fields. A line segment (``lseg``) is one field with
four numbers in double precision, which PostgreSQL sends without a change of any bit.
"""

import hashlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from psycopg2 import sql

BLOCK_BYTES = 1 << 18
_NUMBERS_IN_FIELD = 4
_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_POSTGRES_EPOCH = np.datetime64("2000-01-01T00:00:00", "us")


def packed(numbers: Sequence[sql.Composable]) -> sql.Composable:
    """A select list that has the numbers in fields of four; zeros fill the last field.

    Args:
        numbers: Expressions of type ``float8`` that are never NULL.
    """
    filled = [*numbers, *[sql.SQL("0")] * (-len(numbers) % _NUMBERS_IN_FIELD)]
    fields = (filled[start : start + _NUMBERS_IN_FIELD] for start in range(0, len(filled), _NUMBERS_IN_FIELD))
    return sql.SQL(", ").join(sql.SQL("lseg(point({}, {}), point({}, {}))").format(*field) for field in fields)


class RowDecoder(io.RawIOBase):
    """A stream that decodes the bytes of a binary COPY of rows of an instant and packed numbers, block by block.

    Attributes:
        digest: Receives each row as a binary COPY of an instant and unpacked numbers has it, so that it depends on the
            numbers and not on how they are transferred.
    """

    def __init__(self, columns: Sequence[str], digest: "hashlib._Hash") -> None:
        self.digest = digest
        self._columns = columns
        self._fields = -(-len(columns) // _NUMBERS_IN_FIELD)
        record: list[tuple[Any, ...]] = [("fields", ">i2"), ("instant_length", ">i4"), ("instant", ">i8")]
        for index in range(self._fields):
            record += [(f"length{index}", ">i4"), (f"numbers{index}", ">f8", (_NUMBERS_IN_FIELD,))]
        self._record = np.dtype(record)
        number = np.dtype([("length", ">i4"), ("number", ">f8")])
        self._unpacked = np.dtype(
            [("fields", ">i2"), ("instant_length", ">i4"), ("instant", ">i8"), ("numbers", number, (len(columns),))]
        )
        self._partial_record = b""
        self._awaits_header = True
        self._rows = 0
        self._instants = np.empty(0, np.int64)
        self._values = {name: np.empty(0, np.float32) for name in columns}

    def writable(self) -> bool:
        """True, as `io.BufferedWriter` asks."""
        return True

    def write(self, block: Any, /) -> int:
        """Decode the whole records so far.

        Raises:
            ValueError: The bytes are not those of the expected COPY.
        """
        data = self._partial_record + bytes(block)
        if self._awaits_header:
            if not data.startswith(_HEADER):
                raise ValueError("the response of PostgreSQL is not in its binary COPY format")
            data = data[len(_HEADER) :]
            self._awaits_header = False
        whole = len(data) - len(data) % self._record.itemsize
        self._partial_record = data[whole:]
        if whole:
            self._keep(np.frombuffer(data, self._record, count=whole // self._record.itemsize))
        return len(block)

    def _keep(self, records: NDArray[np.void]) -> None:
        lengths_hold = (records["fields"] == self._fields + 1) & (records["instant_length"] == 8)
        unpacked = np.empty(len(records), self._unpacked)
        unpacked["fields"] = len(self._columns) + 1
        unpacked["instant_length"] = 8
        unpacked["instant"] = records["instant"]
        unpacked["numbers"]["length"] = 8
        rows = slice(self._rows, self._rows + len(records))
        self._make_room(rows.stop)
        self._instants[rows] = records["instant"]
        for index, name in enumerate(self._columns):
            field, place = divmod(index, _NUMBERS_IN_FIELD)
            numbers = records[f"numbers{field}"][:, place]
            unpacked["numbers"]["number"][:, index] = numbers
            with np.errstate(over="ignore"):
                self._values[name][rows] = numbers
        for field in range(self._fields):
            lengths_hold &= records[f"length{field}"] == 8 * _NUMBERS_IN_FIELD
        if not lengths_hold.all():
            raise ValueError("PostgreSQL sent a row with an unexpected number or length of fields")
        self.digest.update(unpacked.view(np.uint8).data)
        self._rows = rows.stop

    def _make_room(self, rows: int) -> None:
        capacity = len(self._instants)
        if rows > capacity:
            self._resize(max(rows, capacity + capacity // 4))

    def _resize(self, rows: int) -> None:
        # The memory of a long array grows in place, so no second copy of the data exists at any time.
        arrays: list[NDArray[Any]] = [self._instants, *self._values.values()]
        for array in arrays:
            array.resize(rows, refcheck=False)

    def arrays(self) -> tuple[NDArray[np.datetime64], pd.DataFrame]:
        """The instants and the numbers of all rows, when no more bytes follow.

        Raises:
            ValueError: The last row is not complete.
        """
        if self._partial_record != _TRAILER:
            raise ValueError("the response of PostgreSQL ended in the middle of a row")
        self._resize(self._rows)
        self._instants += _POSTGRES_EPOCH.astype(np.int64)
        return self._instants.view("datetime64[us]"), pd.DataFrame(self._values, copy=False)
