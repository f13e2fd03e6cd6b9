"""Reading of telemetry from CSV: blocks of rows that are right, and every row that is not, with its line and why."""

import csv
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, TextIO, cast

import numpy as np
import pandas as pd

from trainingjob_trainer.errors import TrainingError

ROWS_OF_A_BLOCK = 20_000
REFUSALS_TOLD = 20
_MACHINE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_KEYS = ("timestamp", "motor_pump")
_DIGITS = "[+-]?(?:[0-9]{1,40}(?:[.][0-9]{0,40})?|[.][0-9]{1,40})(?:[eE][+-]?[0-9]{1,2})?"
_NUMBERS = re.compile(f"(?:{_DIGITS})?(?:,(?:{_DIGITS})?)*")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Refusal:
    """Why a line was refused.

    Attributes:
        line: Number in the file, from 1.
        why: With the column and what stands there.
    """

    line: int
    why: str


@dataclass
class Refusals:
    """All lines that were refused: their number by kind, and the first few as they are.

    Attributes:
        counts: How many lines of each kind.
        first: The first refusals in the order of the file.
    """

    counts: Counter[str] = field(default_factory=Counter)
    first: list[Refusal] = field(default_factory=list)

    def add(self, line: int, kind: str, detail: str = "") -> None:
        """Count a refused line and keep it when it is among the first."""
        self.counts[kind] += 1
        if len(self.first) < REFUSALS_TOLD:
            self.first.append(Refusal(line, f"{kind}{detail}"))

    def told(self) -> str:
        """All of it as text for the person whose file it is."""
        kinds = "; ".join(f"{number} x {kind}" for kind, number in self.counts.most_common())
        lines = "\n".join(f"  line {refusal.line}: {refusal.why}" for refusal in self.first)
        return f"{self.counts.total()} lines are refused ({kinds}). The first of them:\n{lines}"


def read_csv(path: Path, known_columns: Sequence[str], refusals: Refusals) -> Iterator[pd.DataFrame]:
    """Read telemetry from a CSV file, gzipped or not.

    The first line names the columns: ``timestamp`` (ISO 8601 with a zone), ``motor_pump``, and numeric ones. An empty
    field is no value; text such as NAN or None in its place is refused. Only percentages may be infinite.

    Args:
        path: The file.
        known_columns: The columns that the table can take.
        refusals: Collects the lines that are left out.

    Yields:
        Frames of ``timestamp`` (``datetime64[us]``, UTC), ``motor_pump`` and float64 columns, NaN for no value.

    Raises:
        TrainingError: DataUnavailable when the file cannot be read or its first line does not fit the table.
    """
    try:
        with path.open("rb") as file, _text(file) as text:
            yield from _blocks(path, text, known_columns, refusals)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError("DataUnavailable", f"{path} cannot be read to its end: {error}") from error


def _text(file: io.BufferedReader) -> TextIO:
    binary = cast(BinaryIO, gzip.GzipFile(fileobj=file)) if file.peek(2)[:2] == _GZIP else file
    # What is not UTF-8 must not end the reading: its line is refused like any other.
    return io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")


def _blocks(path: Path, text: TextIO, known_columns: Sequence[str], refusals: Refusals) -> Iterator[pd.DataFrame]:
    lines = csv.reader(text, strict=True)
    try:
        header = next(lines, [])
    except csv.Error as error:
        raise TrainingError("DataUnavailable", f"{path}: line 1 is not CSV: {error}") from error
    _refuse_header(path, header, known_columns)
    block = _Block(header, refusals)
    end_of_last = lines.line_num
    while True:
        try:
            row = next(lines)
        except StopIteration:
            break
        except csv.Error as error:
            refusals.add(end_of_last + 1, "not CSV", f": {error}")
        else:
            if lines.line_num > end_of_last + 1:
                refusals.add(end_of_last + 1, "a quoted field runs over several lines")
            elif row:
                block.add(lines.line_num, row)
        end_of_last = lines.line_num
        if len(block) == ROWS_OF_A_BLOCK:
            yield block.taken()
    if len(block):
        yield block.taken()


def _refuse_header(path: Path, header: Sequence[str], known_columns: Sequence[str]) -> None:
    faults = [f"{name} is missing" for name in _KEYS if name not in header]
    faults += [f"{name} stands there twice" for name, number in Counter(header).items() if number > 1]
    unknown = [name for name in header if name not in known_columns and name not in _KEYS and name != "id"]
    if unknown:
        faults.append(f"unknown to the table: {', '.join(map(ascii, unknown[:REFUSALS_TOLD]))}")
    if faults:
        raise TrainingError(
            "DataUnavailable",
            f"{path}: the columns of line 1 do not fit: {'; '.join(faults)}. Known are {', '.join(known_columns)}.",
        )


class _Block:
    """Rows on their way into a frame."""

    def __init__(self, header: Sequence[str], refusals: Refusals) -> None:
        self._width = len(header)
        self._timestamp, self._machine = (header.index(name) for name in _KEYS)
        self._sensors = [index for index, name in enumerate(header) if name not in (*_KEYS, "id")]
        self._names = [header[index] for index in self._sensors]
        self._refusals = refusals
        self._clear()

    def _clear(self) -> None:
        self._instants: list[datetime] = []
        self._machines: list[str] = []
        self._values: list[list[float]] = []

    def __len__(self) -> int:
        return len(self._instants)

    def add(self, line: int, row: Sequence[str]) -> None:
        """Take a row, or refuse it."""
        if len(row) != self._width:
            self._refusals.add(line, "wrong number of fields", f": {len(row)}, not {self._width}")
            return
        machine = row[self._machine]
        if not _MACHINE.fullmatch(machine):
            self._refusals.add(line, "motor_pump is not the name of a machine", f": {machine[:80]!a}")
            return
        instant = self._instant(line, row[self._timestamp])
        values = self._numbers(line, [row[index] for index in self._sensors])
        if instant is not None and values is not None:
            self._instants.append(instant)
            self._machines.append(machine)
            self._values.append(values)

    def _instant(self, line: int, text: str) -> datetime | None:
        try:
            instant = datetime.fromisoformat(text)
            if instant.tzinfo is not None:
                return instant.astimezone(UTC).replace(tzinfo=None)
            kind = "timestamp has no time zone (end it with Z or +00:00)"
        except (ValueError, OverflowError):
            kind = "timestamp cannot be read"
        self._refusals.add(line, kind, f": {text[:80]!a}")
        return None

    def _numbers(self, line: int, fields: list[str]) -> list[float] | None:
        if _NUMBERS.fullmatch(",".join(fields)):
            try:
                return [float(text) if text else math.nan for text in fields]
            except ValueError:
                pass  # A comma inside a field; below it is refused by name.
        values = []
        for name, text in zip(self._names, fields, strict=True):
            value = _number(name, text)
            if value is None:
                kind = f"{name} is not a finite number (leave it empty where there is no value)"
                self._refusals.add(line, kind, f": {text[:80]!a}")
                return None
            values.append(value)
        return values

    def taken(self) -> pd.DataFrame:
        """The rows so far as a frame; the block is empty then."""
        values = np.array(self._values, np.float64).reshape(len(self), len(self._names))
        frame = pd.DataFrame(values, columns=self._names)
        frame.insert(0, "timestamp", np.array(self._instants, "datetime64[us]"))
        frame.insert(1, "motor_pump", self._machines)
        self._clear()
        return frame


def _number(name: str, text: str) -> float | None:
    """The value of a field, NaN when it is empty, None when it is not a number that the column may hold."""
    text = text.strip(" ")
    if not text:
        return math.nan
    if _INFINITE.fullmatch(text):
        return float(text) if name.endswith("_percentage") else None
    if not _NUMBER.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
