"""A text file of separated values, line by line: what its bytes are, its header, and the fields of each line."""

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
_LINES_OF_A_RECORD = 100


@dataclass(frozen=True)
class Line:
    """One line of a file, or several when a quoted field runs on.

    Attributes:
        number: Of the first line in the file, from 1.
        fields: None when the line is not CSV.
        fault: Why, and empty otherwise.
    """

    number: int
    fields: Sequence[str] | None
    fault: str = ""


@dataclass(frozen=True)
class CsvFile:
    """An open file behind its header.

    Attributes:
        path: Of the file.
        header: The fields of line 1.
        text: The lines behind it.
    """

    path: Path
    header: Sequence[str]
    text: Iterator[str]

    def lines(self) -> Iterator[Line]:
        """Every line behind the header that is not empty.

        A line is a row. A quoted field that runs over several lines makes one faulty line of them; where the lines
        after an open quote are right by themselves, only the line with the quote is at fault.
        """
        waiting: list[tuple[int, str]] = []
        for number, line in enumerate(self.text, start=2):
            fields = _fields([line])
            if waiting and (fields is None or len(fields) != len(self.header)):
                waiting.append((number, line))
                joined = [text for _, text in waiting]
                if _fields(joined) is not None:
                    yield Line(waiting[0][0], None, f"a quoted field runs over {len(waiting)} lines")
                    waiting = []
                elif not _open_quote(joined) or len(waiting) == _LINES_OF_A_RECORD:
                    yield from map(_alone, waiting)
                    waiting = []
                continue
            yield from map(_alone, waiting)
            waiting = []
            if fields is None:
                waiting.append((number, line))
            elif fields:
                yield Line(number, fields)
        yield from map(_alone, waiting)


@contextmanager
def open_csv(path: Path) -> Iterator[CsvFile]:
    """Open a CSV file, gzipped or not, and read its header.

    Raises:
        TrainingError: DataUnavailable when it cannot be read, is empty, is another format or has another separator;
            also from the body of the context, when the file ends too early.
    """
    try:
        with path.open("rb") as file:
            compressed = file.peek(len(_GZIP))[: len(_GZIP)] == _GZIP
            binary = io.BufferedReader(gzip.GzipFile(fileobj=file)) if compressed else file
            other = other_format(binary.peek(BYTES_NEEDED))
            if other is not None:
                inside = "the file inside it " if compressed else ""
                raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: {inside}{other}.")
            # What is not UTF-8 must not end the reading: its line is refused like any other.
            text = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
            yield CsvFile(path, _header(path, text.readline()), text)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path} cannot be read to its end: {error}") from error


def _header(path: Path, line: str) -> Sequence[str]:
    if not line:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path} is empty: it must hold a header and rows.")
    fields = _fields([line])
    if fields is None:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: line 1: {_alone((1, line)).fault}.")
    if not fields:
        raise TrainingError(Reason.DATA_UNAVAILABLE, f"{path}: line 1 must name the columns, separated by commas.")
    if len(fields) == 1:
        separator = max(_SEPARATORS, key=fields[0].count)
        if separator in fields[0]:
            raise TrainingError(
                Reason.DATA_UNAVAILABLE,
                f"{path}: the columns of line 1 are separated by {_SEPARATORS[separator]}, not by commas. Write the "
                "file with commas, and numbers with a decimal point.",
            )
    return fields


def _fields(lines: Sequence[str]) -> Sequence[str] | None:
    """The fields of one record; none of an empty line; None when it is not CSV."""
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


def _alone(numbered: tuple[int, str]) -> Line:
    number, line = numbered
    fields = _fields([line])
    if fields is not None:
        return Line(number, fields)
    return Line(
        number, None, "a quote is not closed" if _open_quote([line]) else "not CSV: text follows a closing quote"
    )
