"""The database of the demonstration, and the telemetry in it."""

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import yaml

from cluster.object_store import ObjectStore
from cluster.postgres import Database, PostgresServer
from demo import trainer
from demo.story import RENTED, WITHOUT_DATA

BUCKET = "models"
SIMULATED_ROWS = 20_000
SIMULATED_ROWS_OF_RENTED = 3000
_SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
_SHOWN_SAMPLES = ("gru.yaml", "xgb.yaml")
_DATABASE = "pumps"


def sample_jobs() -> list[dict[str, Any]]:
    """The samples that the demonstration trains."""
    # As strings, because a date that YAML recognises is no string for the API server.
    return [yaml.safe_load((_SAMPLES / name).read_text()) for name in _SHOWN_SAMPLES]


def database_of(server: PostgresServer) -> Database:
    """The database of the demonstration; it is created if it is missing."""
    if server.has_database(_DATABASE):
        return server.database(_DATABASE)
    return server.create_database(_DATABASE)


def fill(
    database: Database,
    store: ObjectStore,
    jobs: Sequence[Mapping[str, Any]],
    data: Path | None = None,
    *,
    with_fleet: bool = False,
) -> None:
    """Creates tables and bucket, and adds telemetry for the machines of TrainingJobs that have none.

    Args:
        database: Where the tables are.
        store: Where the bucket is.
        jobs: The TrainingJobs.
        data: The telemetry, a CSV file; without one it is simulated.
        with_fleet: Whether to simulate telemetry of the small fleet too.

    Raises:
        ProgramError: A command of the trainer failed.
    """
    environment = database.environment() | store.environment()
    trainer.run(environment, "init-db", "--bucket", BUCKET)
    if data:
        trainer.run(environment, "import", str(data), "--existing", "skip")
        return
    rows = {job["spec"]["machine"]: SIMULATED_ROWS for job in jobs}
    if with_fleet:
        rows |= {machine: SIMULATED_ROWS_OF_RENTED for machine in RENTED if machine != WITHOUT_DATA}
    for machine in sorted(rows.keys() - _machines(database)):
        trainer.run(environment, "simulate", "--machine", machine, "--rows", str(rows[machine]))


def _machines(database: Database) -> set[str]:
    """The machines that have telemetry."""
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT motor_pump FROM processed_data")
        return {machine for (machine,) in cursor.fetchall()}
