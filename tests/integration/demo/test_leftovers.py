"""What the demonstration keeps: telemetry for its next run, and the reports of the models."""

import io
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import Database, PostgresServer
from demo.reports import save_reports, stored_reports
from demo.telemetry import BUCKET, SIMULATED_ROWS, database_of, fill, sample_jobs


@pytest.fixture
def kept_database(postgres_server: PostgresServer) -> Iterator[Database]:
    """The database of the demonstration."""
    database = database_of(postgres_server)
    yield database
    postgres_server.drop_database(database.dbname)


@pytest.fixture
def models(object_store: ObjectStore) -> Iterator[ObjectStore]:
    """The store; the bucket of the demonstration is removed after the test."""
    yield object_store
    object_store.drop_bucket(BUCKET)


def count_rows(database: Database) -> dict[str, int]:
    with closing(database.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT motor_pump, count(*) FROM processed_data GROUP BY motor_pump")
        return dict(cursor.fetchall())


def test_a_second_run_uses_the_database_and_the_telemetry_of_the_first(
    postgres_server: PostgresServer, kept_database: Database, models: ObjectStore
) -> None:
    gru, xgb = sample_jobs()
    fill(kept_database, models, [gru])
    assert count_rows(kept_database) == {gru["spec"]["machine"]: SIMULATED_ROWS}
    again = database_of(postgres_server)
    assert again == kept_database
    fill(again, models, [gru, xgb])
    assert count_rows(again) == {job["spec"]["machine"]: SIMULATED_ROWS for job in (gru, xgb)}


def test_reports_are_saved_by_trainingjob_name_and_replace_older_ones(models: ObjectStore, tmp_path: Path) -> None:
    models.create_bucket(BUCKET)
    report, other = "runs/ITU-415/2026_01_02_03_04_05/report.html", "runs/ITU-415/2026_01_02_03_04_05/manifest.json"
    for key in (report, other):
        models.client().put_object(BUCKET, key, io.BytesIO(key.encode()), len(key))
    assert stored_reports(models) == {report}
    older = tmp_path / "older.html"
    older.touch()
    (file,) = save_reports(models, {"itu-415-failure": report}, tmp_path)
    assert file == tmp_path / "itu-415-failure.html"
    assert file.read_text() == report
    assert not older.exists()
