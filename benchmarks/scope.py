"""How much is measured: everything, or small sizes in minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        name: Of the scope, for the files of results.
        tables: Names of the tables, in order.
        on_request: Names of further tables, which are measured only when they are named.
        sizes: Rows of the simulated machines.
        load_sizes: Rows of the machines that are loaded.
        short_series: Rows of the short simulated machines, and the ``sequenceLength`` to train them with.
        real_series: Whether to train on the real series, where they are present.
        fleet_machines: Machines of a simulated fleet.
        fleet_rows: Rows of each of them, in a fleet of short histories and in one of long histories.
        base_machines: Machines of the base whose memory is measured.
        grids: Ways to run ``GridSearchCV`` that the search is compared with.
        repeats: Runs of each case whose result is a time.
        seeds: Seeds of the product's trainings.
        reference_seeds: Seeds of the reference's trainings; none: tables that can do without leave the reference out.
    """

    name: str
    tables: Sequence[str]
    on_request: Sequence[str]
    sizes: Sequence[int]
    load_sizes: Sequence[int]
    short_series: Mapping[int, int]
    real_series: bool
    fleet_machines: int
    fleet_rows: tuple[int, int]
    base_machines: int
    grids: Sequence[str]
    repeats: int
    seeds: Sequence[int]
    reference_seeds: Sequence[int]


# With the default length, 60, the validation part of the shorter ones has no window between its gaps.
FULL = Scope(
    name="full",
    tables=("load", "search", "training", "whole", "reached", "backend", "fleet", "long", "memory"),
    on_request=(),
    sizes=(20_000, 100_000),
    load_sizes=(20_000, 100_000, 1_000_000),
    short_series={200: 10, 500: 20, 1000: 30, 2000: 60},
    real_series=True,
    fleet_machines=20,
    fleet_rows=(800, 20_000),
    base_machines=300,
    grids=("processes", "threads"),
    repeats=3,
    seeds=(1, 2, 3, 4, 5),
    reference_seeds=(1, 2, 3),
)
QUICK = Scope(
    name="quick",
    tables=("load", "search", "training", "whole"),
    on_request=("fleet",),
    sizes=(20_000,),
    load_sizes=(20_000, 100_000),
    short_series={200: 10, 2000: 60},
    real_series=False,
    fleet_machines=5,
    fleet_rows=(800, 3000),
    base_machines=20,
    # The faster one, as a rule.
    grids=("processes",),
    repeats=1,
    seeds=(1,),
    reference_seeds=(),
)
