"""The tables: their rows with goals and verdicts, how numbers are written, and output to terminal and JSON."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.goals import Check, goals, verdict
from benchmarks.measure import machine

RESULTS = Path(__file__).parent / "results"
_FILE_WIDTH = 160


@dataclass(frozen=True)
class Row:
    """One row: its cells, and the checks that the goal and the verdict at its end come from."""

    cells: Sequence[str]
    checks: Sequence[Check] = ()


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: What is measured.
        headings: One for each cell of a row; goal and verdict follow.
        rows: The rows.
        measurements: What the rows are computed from: values that JSON has, and dataclasses.
        note: How it is measured, and what is left out.
    """

    title: str
    headings: Sequence[str]
    rows: Sequence[Row]
    measurements: Any
    note: str = ""


def seconds(value: float | None) -> str:
    """Seconds with three significant digits or fewer; "-" without a value."""
    if value is None:
        return "-"
    return f"{value:.0f} s" if value >= 100 else f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def thousandths(error: float) -> str:
    """An error of the health score, times 1000."""
    return f"{error * 1000:.2f}"


def wide_console() -> Console:
    """A console for tables; where its output is not a terminal, it is wide enough for each of them."""
    return Console(width=None if sys.stdout.isatty() else _FILE_WIDTH)


def print_table(console: Console, table: Table) -> None:
    """Print a table, with goal and verdict at the end of each row."""
    printed = RichTable(title=table.title, caption=table.note or None)
    for heading in table.headings:
        printed.add_column(heading, justify="right")
    printed.add_column("goal", justify="left")
    printed.add_column("verdict", justify="left")
    for row in table.rows:
        printed.add_row(*row.cells, goals(row.checks), verdict(row.checks))
    console.print(printed)


def write_results(name: str, tables: Sequence[Table]) -> Path:
    """Write tables as JSON with the properties of the machine; returns the file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{name}.json"
    content = {"machine": machine(), "tables": [as_json(table) for table in tables]}
    file.write_text(json.dumps(content, indent=2, default=vars))
    return file


def as_json(table: Table) -> dict[str, Any]:
    """A table for JSON; each row holds its cells by heading, its checks and its verdict."""
    rows = [
        {**dict(zip(table.headings, row.cells, strict=True)), "goals": row.checks, "verdict": verdict(row.checks)}
        for row in table.rows
    ]
    return {"title": table.title, "note": table.note, "rows": rows, "measurements": table.measurements}
