"""The telemetry that is measured on: simulated machines and real series, in a PostgreSQL of its own."""

import gzip
import itertools
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cluster.object_store import object_store_running
from cluster.postgres import postgres_running
from cluster.programs import run_program
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.storage.telemetry import load_telemetry

REAL_SERIES = Path(__file__).parents[2] / "shared" / "data"
CAROBD_ROWS = 20_000
_TRAINER = Path(sys.executable).with_name("trainingjob-trainer")


def simulated(rows: int) -> str:
    """Name of the simulated machine with so many rows."""
    return f"SIMULATED-{rows}"


@contextmanager
def servers() -> Iterator[None]:
    """Runs PostgreSQL and S3, and tells this process and its children where they are."""
    with (
        TemporaryDirectory() as folder,
        postgres_running(Path(folder)) as postgres,
        object_store_running(Path(folder)) as store,
    ):
        os.environ.update(postgres.create_database("benchmarks").environment() | store.environment())
        trainer("init-db", "--bucket", "models")
        yield


def trainer(*arguments: str) -> None:
    """Runs one command of the trainer."""
    run_program([_TRAINER, *arguments], each_line=lambda line: print(line, file=sys.stderr))


def simulate(rows: int) -> None:
    """Puts a simulated machine into the database."""
    trainer("simulate", "--machine", simulated(rows), "--rows", str(rows))


def import_real_series() -> Sequence[str]:
    """Puts the real series into the database; returns their machines, none where the files are absent."""
    if not REAL_SERIES.is_dir():
        return ()
    trainer("import", str(REAL_SERIES / "skab_processed.csv.gz"))
    with TemporaryDirectory() as folder:
        shortened = Path(folder) / "carobd.csv"
        with gzip.open(REAL_SERIES / "carobd_long_native.csv.gz", "rt") as lines:
            shortened.write_text("".join(itertools.islice(lines, CAROBD_ROWS + 1)))
        trainer("import", str(shortened))
        machine = shortened.read_text().splitlines()[1]
    return ("SKAB-FREE", next(field for field in machine.split(",") if "OBD" in field.upper()))


def spec(machine: str, model: str, **settings: Any) -> TrainingJobSpec:
    """A spec of all the data of a machine; ``settings`` are those of its model type, by their names in the API."""
    seed: Mapping[str, Any] = {"seed": settings.pop("seed")} if "seed" in settings else {}
    block = settings | ({"missingIndicators": "Neutral"} if model == "gru" else {})
    return TrainingJobSpec.model_validate({"machine": machine, "model": {"type": model, model: block, **seed}})


def dataset(wanted: TrainingJobSpec) -> Any:
    """Loads and prepares, as a run does."""
    return prepare_data(load_telemetry(wanted, Window()), wanted)
