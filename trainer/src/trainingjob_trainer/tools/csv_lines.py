"""Opens a CSV file, detects other formats, and splits it into a header and lines of fields."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainingjob_api.reasons import Reason
from trainingjob_trainer.documents.file_format import BYTES_NEEDED, other_format
from trainingjob_trainer.errors import TrainingError

_GZIP = b"\x1f\x8b"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_MAXIMUM_RECORD_LINES = 100


@dataclass(frozen=True)
class Line:
    """One line of a file, or several lines that a quoted field joins.

    Attributes:
        number: Number of the (first) line in the file, from 1.
        fields: The fields; None when the line is not valid CSV.
        fault: Why the line is not valid CSV; empty otherwise.
    """

    number: int
    fields: Sequence[str] | None
    fault: str = ""


@dataclass(frozen=True)
class CsvFile:
    """An open file whose header has been read.

    Attributes:
        path: Path of the file.
        header: The fields of line 1.
        text: The lines after the header.
    """

    path: Path
    header: Sequence[str]
    text: Iterator[str]

    def lines(self) -> Iterator[Line]:
        """The non-empty lines after the header.

        Each line is a row. A quoted field that contains line breaks is an error: its lines are returned as one faulty
        line. If a quote is never closed and the lines after it are valid on their own, only its own line is faulty.
        """
        pending: list[tuple[int, str]] = []
        for number, line in enumerate(self.text, start=2):
            fields = _fields([line])
            if pending and (fields is None or len(fields) != len(self.header)):
                pending.append((number, line))
                joined = [text for _, text in pending]
                if _fields(joined) is not None:
                    yield Line(pending[0][0], None, f"a quoted field runs over {len(pending)} lines")
                    pending = []
                elif not _open_quote(joined) or len(pending) == _MAXIMUM_RECORD_LINES:
                    yield from map(_single_line, pending)
                    pending = []
                continue
            yield from map(_single_line, pending)
            pending = []
            if fields is None:
                pending.append((number, line))
            elif fields:
                yield Line(number, fields)
        yield from map(_single_line, pending)


@contextmanager
def open_csv(path: Path) -> Iterator[CsvFile]:
    """Open a CSV file, optionally compressed by gzip, and read its header.

    Raises:
        TrainingError: DataUnavailable when the file cannot be read, is empty, or has another format or separator. It
            is also raised from the body of the context when a compressed file ends too early.
    """
    try:
        with path.open("rb") as file:
            compressed = file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
            binary = io.BufferedReader(gzip.GzipFile(fileobj=file)) if compressed else file
            other = other_format(binary.peek(BYTES_NEEDED))
            if other is not None:
                inside = "the compressed file " if compressed else ""
                raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: {inside}{other}.")
            # Bytes that are not UTF-8 must not stop the reader: only their line is refused.
            text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            yield CsvFile(path, _header(path, text.readline()), text)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path} cannot be read to its end: {error}") from error


def _header(path: Path, line: str) -> Sequence[str]:
    if not line:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path} is empty: it must have a header and rows.")
    fields = _fields([line])
    if fields is None:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: line 1: {_single_line((1, line)).fault}.")
    if not fields:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: line 1 must name the columns, separated by commas.")
    if len(fields) == 1:
        separator = max(_SEPARATORS, key=fields[0].count)
        if separator in fields[0]:
            raise TrainingError(
                Reason.DATA_UNAVAILABLE,
                f"{path}: the columns of line 1 are separated by {_SEPARATORS[separator]}, not by commas. Save the "
                "file with commas as separators and with decimal points.",
            )
    return fields


def _fields(lines: Sequence[str]) -> Sequence[str] | None:
    """The fields of one record; empty for an empty line; None when the record is not valid CSV."""
    if len(lines) == 1 and '"' not in lines[0]:
        text = lines[0].rstrip("\r\n")
        return text.split(",") if text else ()
    try:
        (record,) = csv.reader(lines, strict=True)
    except (csv.Error, ValueError):
        return None
    return record


def _open_quote(lines: Sequence[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 1


def _single_line(numbered: tuple[int, str]) -> Line:
    number, line = numbered
    fields = _fields([line])
    if fields is not None:
        return Line(number, fields)
    return Line(
        number, None, "a quote is not closed" if _open_quote([line]) else "not CSV: text follows a closing quote"
    )
