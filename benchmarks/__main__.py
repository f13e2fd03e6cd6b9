"""``make bench``: prints the tables, product against reference in one run, and writes them as JSON."""

import argparse
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.measure import machine, write_results
from benchmarks.tables import FULL, QUICK, TABLES, Result
from benchmarks.telemetry import import_real_series, servers, simulate
from cluster.programs import ProgramError


def main() -> None:
    """Measures the selected tables."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, one repeat, under five minutes")
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; none: all")
    arguments = parser.parse_args()
    names = arguments.tables or list(TABLES)
    if unknown := set(names).difference(TABLES):
        parser.error(f"there is no table {', '.join(sorted(unknown))}, only {', '.join(TABLES)}")
    scope = QUICK if arguments.quick else FULL
    console = Console()
    console.print(machine())
    with servers():
        sizes = {*scope.sizes, *(scope.load_sizes if "load" in names else ())}
        sizes |= {
            rows for name, rows in (("long", scope.long_rows), ("memory", scope.memory_rows)) if rows and name in names
        }
        for rows in sorted(sizes):
            simulate(rows)
        real = import_real_series() if "accuracy" in names else ()
        for name in names:
            result = TABLES[name](scope, real)
            if result.rows:
                console.print(_table(result))
                kind = "quick" if arguments.quick else "full"
                measurements = [vars(each) for each in result.measurements]
                console.print(f"{write_results(f'{name}-{kind}', result.rows, measurements)}\n")


def _table(result: Result) -> Table:
    table = Table(title=result.title, caption=f"goal: {result.goal}")
    for heading in result.headings:
        table.add_column(heading, justify="right")
    for row in result.rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    try:
        main()
    except ProgramError as failure:
        sys.exit(f"error: {failure}")
