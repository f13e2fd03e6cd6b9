"""The telemetry that is measured on: simulated machines and real series, in a PostgreSQL of its own."""

import functools
import gzip
import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2

from cluster.object_store import object_store_running
from cluster.postgres import postgres_running
from cluster.programs import run_program
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.storage.telemetry import load_telemetry

TRAINER = Path(sys.executable).with_name("trainingjob-trainer")

SKAB_FREE, SKAB_SHORT, CAROBD = "SKAB-FREE", "SKAB-VALVE1-00", "CAROBD-LONG"
"""Machines of the real series: a pump of 9,405 rows, one of 1,147 rows, and an engine."""

MINIMUM_ROWS = 100
"""``data.minRows``: by default, short series are refused."""

_REAL_SERIES = Path(__file__).parents[2] / "shared" / "data"
_CAROBD_ROWS = 20_000


@contextmanager
def servers() -> Iterator[None]:
    """Runs PostgreSQL and S3, and tells this process and its children where they are."""
    with (
        TemporaryDirectory() as folder,
        postgres_running(Path(folder)) as postgres,
        object_store_running(Path(folder)) as store,
    ):
        os.environ.update(postgres.create_database("benchmarks").environment() | store.environment())
        _trainer("init-db", "--bucket", "models")
        yield


@functools.cache
def simulated(rows: int) -> str:
    """The simulated machine with so many rows; the first call puts it into the database."""
    machine = f"SIMULATED-{rows}"
    _trainer("simulate", "--machine", machine, "--rows", str(rows))
    _vacuum()
    return machine


@functools.cache
def simulated_fleet(rows: int, machines: int) -> Sequence[str]:
    """So many simulated machines with so many rows each; the first call puts them into the database."""
    names = [f"FLEET-{rows}-{number:02d}" for number in range(machines)]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda name: _trainer("simulate", "--machine", name, "--rows", str(rows)), names))
    _vacuum()
    return names


def skab_machines() -> Sequence[str]:
    """The pumps of the real series, by name; ``has_real_series`` puts them into the database."""
    with closing(psycopg2.connect("")) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT motor_pump FROM processed_data WHERE motor_pump LIKE 'SKAB-%' ORDER BY 1")
        return [name for (name,) in cursor.fetchall()]


@functools.cache
def has_real_series() -> bool:
    """Whether the files of the real series are present; the first call puts them into the database."""
    if not _REAL_SERIES.is_dir():
        return False
    _trainer("import", str(_REAL_SERIES / "skab_processed.csv.gz"))
    with TemporaryDirectory() as folder:
        shortened = Path(folder) / "carobd.csv"
        with gzip.open(_REAL_SERIES / "carobd_long_native.csv.gz", "rt") as lines:
            shortened.write_text("".join(itertools.islice(lines, _CAROBD_ROWS + 1)))
        _trainer("import", str(shortened))
    _vacuum()
    return True


def spec(machine: str, model: str, *, seed: int | None = None, **settings: Any) -> TrainingJobSpec:
    """A spec of all the data of a machine; ``settings`` are those of its model type, by their names in the API."""
    seeded: Mapping[str, Any] = {} if seed is None else {"seed": seed}
    block = settings | ({"missingIndicators": "Neutral"} if model == "gru" else {})
    model_block = {"type": model, model: block, **seeded}
    return TrainingJobSpec.model_validate({"machine": machine, "model": model_block, "data": {"minRows": MINIMUM_ROWS}})


def dataset(wanted: TrainingJobSpec) -> Any:
    """Loads and prepares, as a run does."""
    return prepare_data(load_telemetry(wanted, Window()), wanted)


def _trainer(*arguments: str) -> None:
    run_program([TRAINER, *arguments], each_line=lambda line: print(line, file=sys.stderr))


def _vacuum() -> None:
    """Spares the first case the work that PostgreSQL does when new rows are first read."""
    with closing(psycopg2.connect("")) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("VACUUM (ANALYZE) processed_data")
