"""``make bench``: prints the tables, each row with its goal and its verdict, and writes them as JSON."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence

from benchmarks import backend, fleet, load, long_history, reached, search, training, whole
from benchmarks.measure import machine
from benchmarks.scope import FULL, QUICK, Scope
from benchmarks.table import Table, print_table, wide_console, write_results
from benchmarks.telemetry import servers
from cluster.programs import ProgramError

TABLES: Mapping[str, Callable[[Scope], Sequence[Table]]] = {
    "load": load.tables,
    "search": search.tables,
    "training": training.tables,
    "whole": whole.tables,
    "reached": reached.tables,
    "backend": backend.tables,
    "fleet": fleet.tables,
    "long": long_history.long_tables,
    "memory": long_history.memory_tables,
}


def main() -> None:
    """Measures the selected tables."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, in minutes")
    parser.add_argument("tables", nargs="*", help=f"of {', '.join(TABLES)}; none: all")
    arguments = parser.parse_args()
    scope = QUICK if arguments.quick else FULL
    names = arguments.tables or scope.tables
    known = (*scope.tables, *scope.on_request)
    if unknown := set(names).difference(known):
        parser.error(f"there is no table {', '.join(sorted(unknown))} here, only {', '.join(known)}")
    console = wide_console()
    console.print(machine())
    with servers():
        for name in names:
            tables = TABLES[name](scope)
            for table in tables:
                print_table(console, table)
            console.print(f"{write_results(f'{name}-{scope.name}', tables)}\n")


if __name__ == "__main__":
    try:
        main()
    except ProgramError as failure:
        sys.exit(f"error: {failure}")
