"""Reads telemetry from CSV: returns valid rows in blocks, and collects each invalid line with the reason."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from trainingjob_api.nearest import nearest
from trainingjob_api.reasons import Reason
from trainingjob_api.values import machine_name
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.tools.csv_lines import CsvFile, open_csv

ROWS_OF_A_BLOCK = 20_000
REFUSALS_SHOWN = 20
FIRST_YEAR = 1970
_KEYS = ("timestamp", "motor_pump")
_LIKENESS = 0.81
"""Minimum similarity of a misspelled column. It is higher than that of Fuel_T and Fuel_L, which are two sensors."""

_DIGITS = "[+-]?(?:[0-9]{1,40}(?:[.][0-9]{0,40})?|[.][0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?"
_NUMBERS = re.compile(f"(?:{_DIGITS})?(?:,(?:{_DIGITS})?)*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)


@dataclass(frozen=True)
class Refusal:
    """A line that was refused.

    Attributes:
        line: Number of the line in the file, from 1.
        reason: Why it was refused, with the column and its value.
    """

    line: int
    reason: str


@dataclass
class Refusals:
    """All refused lines: how many of each kind, and the first few in detail.

    Attributes:
        counts: Number of lines by kind of fault.
        first: The first refusals, in the order of the file.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: list[Refusal] = field(default_factory=list)

    def add(self, line: int, kind: str, detail: str = "") -> None:
        """Count a refused line; keep its details if it is among the first."""
        self.counts[kind] += 1
        if len(self.first) < REFUSALS_SHOWN:
            self.first.append(Refusal(line, f"{kind}{detail}"))

    def summary(self) -> str:
        """The refusals as text for the user."""
        kinds = "; ".join(f"{number} x {kind}" for kind, number in self.counts.most_common())
        lines = "\n".join(f"  line {refusal.line}: {refusal.reason}" for refusal in self.first)
        total = self.counts.total()
        are = "1 line is" if total == 1 else f"{total} lines are"
        return f"{are} refused ({kinds}). The first of them:\n{lines}"


def read_csv(path: Path, known_columns: Sequence[str], refusals: Refusals) -> Iterator[pd.DataFrame]:
    """Read telemetry from a CSV file, optionally compressed by gzip.

    The first line has the column names: ``timestamp`` (ISO 8601 with a time zone, from 1970 on), ``motor_pump`` (a
    valid ``spec.machine``) and numeric columns. An empty field is a missing value; text such as NAN or None is
    refused. Only percentages may be infinite.

    Args:
        path: The file.
        known_columns: The numeric columns of the table.
        refusals: Collects the refused lines, each one once.

    Yields:
        Frames of ``timestamp`` (``datetime64[us]``, UTC), ``motor_pump`` and float64 columns; NaN is a missing value.

    Raises:
        TrainingError: DataUnavailable when the file cannot be read, is not CSV, or its header does not match the table.
    """
    with open_csv(path) as file:
        _refuse_header(file, known_columns)
        block = _Block(file.header, refusals)
        for line in file.lines():
            if line.fields is None:
                refusals.add(line.number, line.fault)
            else:
                block.add(line.number, line.fields)
            if len(block) == ROWS_OF_A_BLOCK:
                yield block.pop_frame()
        if len(block):
            yield block.pop_frame()


def _refuse_header(file: CsvFile, known_columns: Sequence[str]) -> None:
    known = (*_KEYS, *known_columns)
    faults = [f"{name} is repeated" for name, number in Counter(file.header).items() if number > 1]
    unknown = [name for name in file.header if name not in known and name != "id"]
    absent = [column for column in known if column not in file.header]
    meant = {name: nearest(name, absent, _LIKENESS) for name in unknown}
    faults += [
        f"{name!a} is probably meant to be {meant[name]}" if meant[name] else f"{name!a} is not in the table"
        for name in unknown[:REFUSALS_SHOWN]
    ]
    faults += [f"{name} is missing" for name in _KEYS if name not in file.header and name not in meant.values()]
    if faults:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"{file.path}: the columns of line 1 do not match the table: {'; '.join(faults)}. Names are "
            f"case-sensitive. The columns of the table are {', '.join(known)}.",
        )


class _Block:
    """Collects valid rows until they are returned as a frame."""

    def __init__(self, header: Sequence[str], refusals: Refusals) -> None:
        self._width = len(header)
        self._timestamp, self._machine = (header.index(name) for name in _KEYS)
        self._sensors = [index for index, name in enumerate(header) if name not in (*_KEYS, "id")]
        self._names = [header[index] for index in self._sensors]
        self._refusals = refusals
        self._names_seen: set[str] = set()
        self._clear()

    def _clear(self) -> None:
        self._instants: list[datetime] = []
        self._machines: list[str] = []
        self._values: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._instants)

    def add(self, line: int, row: Sequence[str]) -> None:
        """Add a row if it is valid; refuse it otherwise."""
        if len(row) != self._width:
            self._refusals.add(line, "wrong number of fields", f": {len(row)} instead of {self._width}")
            return
        machine = row[self._machine]
        if machine not in self._names_seen:
            try:
                self._names_seen.add(machine_name(machine))
            except ValueError as error:
                self._refusals.add(line, f"motor_pump {error}", f": {machine[:80]!a}")
                return
        instant = _instant(row[self._timestamp])
        if isinstance(instant, str):
            self._refusals.add(line, instant, f": {row[self._timestamp][:80]!a}")
            return
        values = self._numbers(line, [row[index] for index in self._sensors])
        if values is not None:
            self._instants.append(instant)
            self._machines.append(machine)
            self._values.append(values)

    def _numbers(self, line: int, fields: list[str]) -> list[float] | None:
        if _NUMBERS.fullmatch(",".join(fields)):
            try:
                return [float(text) if text else math.nan for text in fields]
            except ValueError:
                pass  # A field contains a comma; the loop below refuses it with the column's name.
        values = []
        for name, text in zip(self._names, fields, strict=True):
            value = _number(name, text)
            if value is None:
                kind = f"{name} is not a finite number (leave it empty where there is no value)"
                self._refusals.add(line, kind, f": {text[:80]!a}")
                return None
            values.append(value)
        return values

    def pop_frame(self) -> pd.DataFrame:
        """Return the rows as a frame and clear the block."""
        values = np.array(self._values, np.float64).reshape(len(self), len(self._names))
        frame = pd.DataFrame(values, columns=self._names)
        frame.insert(0, "timestamp", np.array(self._instants, "datetime64[us]"))
        frame.insert(1, "motor_pump", self._machines)
        self._clear()
        return frame


def _instant(text: str) -> datetime | str:
    """The instant in UTC, without time zone; or the reason why the text is not valid."""
    long_ago = f"timestamp is before {FIRST_YEAR}"
    unreadable = "timestamp cannot be read (write it as 2025-08-31T12:00:00Z)"
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None:
            return long_ago if instant.year < FIRST_YEAR else "timestamp has no time zone (end it with Z or +00:00)"
        instant = instant.astimezone(UTC).replace(tzinfo=None)
    except ValueError:
        return long_ago if text.endswith("BC") else unreadable
    except OverflowError:
        # Conversion to UTC left the range of years that datetime supports, at its beginning or its end.
        return long_ago if text.startswith("0") else unreadable
    return instant if instant.year >= FIRST_YEAR else long_ago


def _number(name: str, text: str) -> float | None:
    """The value of a field; NaN when it is empty; None when it is not a number that the column may have."""
    text = text.strip(" ")
    if not text:
        return math.nan
    if _INFINITE.fullmatch(text):
        return float(text) if name.endswith("_percentage") else None
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
