"""Import into a real PostgreSQL server: all rows or none, with the values of the file."""

import gzip
import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from psycopg2.extensions import connection

from integration.trainer.statements import execute, select
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.postgres import create_tables
from trainingjob_trainer.tools.csv_reader import ROWS_OF_A_BLOCK
from trainingjob_trainer.tools.existing_rows import ExistingRows
from trainingjob_trainer.tools.importer import import_csv

HEADER = "timestamp,motor_pump,Oil_P,Eng_RPM_variation_percentage\n"
GOOD = "2025-01-01T03:00:00+03:00,ITU-415,480.123456789,\n"


@pytest.fixture(autouse=True)
def _tables(session: connection) -> None:
    """Creates the tables."""
    create_tables(session)


def test_the_table_has_the_rows_of_the_file_each_with_its_own_id(session: connection, tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv.gz"
    path.write_bytes(gzip.compress((HEADER + GOOD + GOOD + "2025-01-01T00:00:10Z,MOTOBOMBA-007,,inf\n").encode()))
    imported = import_csv(path)
    assert imported.rows == {"ITU-415": 2, "MOTOBOMBA-007": 1}
    rows = select(
        session,
        'SELECT "timestamp", motor_pump, "Oil_P", "Eng_RPM_variation_percentage", "Oil_L" FROM processed_data '
        'ORDER BY "timestamp"',
    )
    first = (datetime(2025, 1, 1, tzinfo=UTC), "ITU-415", 480.123456789, None, None)
    assert rows == [first, first, (datetime(2025, 1, 1, 0, 0, 10, tzinfo=UTC), "MOTOBOMBA-007", None, math.inf, None)]
    ids = [id_ for (id_,) in select(session, "SELECT id::text FROM processed_data")]
    assert len(set(ids)) == 3
    assert {(id_[14], id_[19] in "89ab") for id_ in ids} == {("4", True)}


def test_one_invalid_line_refuses_the_file_and_is_named(session: connection, tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD * (ROWS_OF_A_BLOCK + 5) + "2025-01-01T00:00:00Z,ITU-415,NAN,\n" + GOOD)
    with pytest.raises(TrainingError) as refusal:
        import_csv(path)
    assert refusal.value.reason == "DataUnavailable"
    assert "nothing was imported. 1 line is refused" in refusal.value.message
    assert f"line {ROWS_OF_A_BLOCK + 7}: Oil_P is not a finite number" in refusal.value.message
    assert select(session, "SELECT count(*) FROM processed_data") == [(0,)]


def test_valid_lines_are_imported_with_skip_refused(session: connection, tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD + "yesterday,ITU-415,1,\n" + GOOD)
    imported = import_csv(path, skip_refused=True)
    assert imported.rows.total() == 2
    assert [refusal.line for refusal in imported.refusals.first] == [3]
    assert select(session, "SELECT count(*) FROM processed_data") == [(2,)]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (HEADER, "nothing was imported: there is no row after the header"),
        (HEADER + "\n\n", "nothing was imported: there is no row after the header"),
        (HEADER + "yesterday,ITU-415,1,\nnever,ITU-415,1,\n", "nothing was imported. 2 lines are refused"),
    ],
)
def test_a_file_without_a_valid_row_is_refused_also_with_skip_refused(
    session: connection, tmp_path: Path, content: str, told: str
) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(content)
    for skip_refused in (False, True):
        with pytest.raises(TrainingError) as refusal:
            import_csv(path, skip_refused=skip_refused)
        assert refusal.value.reason == "DataUnavailable"
        assert told in refusal.value.message


OTHER = "2025-01-01T00:00:10Z,MOTOBOMBA-007,1,\n"


@pytest.fixture(params=["indexed", "bare"])
def table(request: pytest.FixtureRequest, session: connection) -> str:
    """The table of init-db, or one without index and id, whose timestamps have no time zone."""
    if request.param == "indexed":
        return "processed_data"
    columns = '"timestamp" timestamp, motor_pump varchar(63), "Oil_P" real, "Eng_RPM_variation_percentage" float8'
    execute(session, f"CREATE TABLE bare ({columns})")
    return "bare"


def test_a_file_with_existing_rows_is_refused_with_counts_by_machine(
    session: connection, tmp_path: Path, table: str
) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD)
    import_csv(path, table)
    path.write_text(HEADER + OTHER + GOOD.replace("480.1", "481.1") + GOOD.replace("ITU-415", "ITU-416"))
    with pytest.raises(TrainingError) as refusal:
        import_csv(path, table)
    assert refusal.value.reason == "DataUnavailable"
    assert f"1 of its 3 rows are already in {table}, by machine and timestamp (ITU-415: 1)" in refusal.value.message
    assert "--existing skip imports the other 2; --existing add" in refusal.value.message
    assert select(session, f"SELECT count(*) FROM {table}") == [(1,)]


def test_existing_rows_are_skipped_or_added_on_request(session: connection, tmp_path: Path, table: str) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD)
    import_csv(path, table)
    path.write_text(HEADER + GOOD + OTHER + GOOD)
    skipped = import_csv(path, table, existing=ExistingRows.SKIP)
    assert (skipped.rows, skipped.existing) == ({"MOTOBOMBA-007": 1}, {"ITU-415": 2})
    assert select(session, f"SELECT count(*) FROM {table}") == [(2,)]
    again = import_csv(path, table, existing=ExistingRows.SKIP)
    assert (again.rows.total(), again.existing.total()) == (0, 3)
    added = import_csv(path, table, existing=ExistingRows.ADD)
    assert (added.rows.total(), added.existing.total()) == (3, 0)
    assert select(session, f"SELECT count(*) FROM {table}") == [(5,)]


def test_a_refused_import_leaves_no_trace_in_the_table(session: connection, tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD * (ROWS_OF_A_BLOCK + 5) + "yesterday,ITU-415,1,\n")
    with pytest.raises(TrainingError):
        import_csv(path)
    assert select(session, "SELECT pg_relation_size('processed_data')") == [(0,)]


def test_columns_that_are_not_in_the_file_get_the_default_of_the_table(session: connection, tmp_path: Path) -> None:
    execute(session, 'ALTER TABLE processed_data ALTER COLUMN "Oil_L" SET DEFAULT 7')
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD)
    import_csv(path)
    assert select(session, 'SELECT "Oil_L" FROM processed_data') == [(7,)]


def test_another_file_format_is_named_before_a_server_is_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER, encoding="utf-16")
    with pytest.raises(TrainingError, match="is UTF-16 text"):
        import_csv(path)


def test_a_table_with_real_columns_and_its_own_ids_is_supported(session: connection, tmp_path: Path) -> None:
    execute(session, "CREATE SCHEMA plant")
    execute(
        session,
        'CREATE TABLE plant.telemetry (id serial, "timestamp" timestamp, motor_pump varchar(20), "Oil_P" real, '
        '"Eng_RPM_variation_percentage" float8)',
    )
    path = tmp_path / "telemetry.csv"
    path.write_text(HEADER + GOOD)
    import_csv(path, "plant.telemetry")
    assert select(session, 'SELECT id, "timestamp", round("Oil_P"::numeric, 2)::text FROM plant.telemetry') == [
        (1, datetime(2025, 1, 1), "480.12")
    ]


def test_a_table_without_the_needed_columns_is_refused_by_name(session: connection, tmp_path: Path) -> None:
    execute(session, 'CREATE TABLE odd ("timestamp" text, motor_pump text, "Oil_P" float8)')
    path = tmp_path / "telemetry.csv"
    path.write_text("timestamp,motor_pump,Oil_P\n" + GOOD.rsplit(",", 1)[0] + "\n")
    with pytest.raises(TrainingError, match=r"timestamp \(text, needed timestamptz") as refusal:
        import_csv(path, "odd")
    assert refusal.value.reason == "InvalidConfiguration"
    with pytest.raises(TrainingError, match="no table nowhere"):
        import_csv(path, "nowhere")
    with pytest.raises(TrainingError, match="cannot be read"):
        import_csv(tmp_path / "absent.csv")


def test_any_float_and_name_is_written_exactly(session: connection) -> None:
    random = np.random.default_rng(0)
    values = random.integers(0, 2**63, 1000, dtype=np.uint64).view(np.float64)
    names = ["A", "ITU-415", "MOTOBOMBA-" + "x" * 53, "bomba-ção"]
    instants = np.datetime64("2025-01-01", "us") + np.arange(1000).astype("timedelta64[us]")
    frame = pd.DataFrame({"timestamp": instants, "motor_pump": np.resize(names, 1000), "Oil_P": values})
    assert copy_rows(session, "processed_data", frame) == 1000
    rows = select(session, 'SELECT motor_pump, "Oil_P" FROM processed_data ORDER BY "timestamp"')
    assert [name for name, _ in rows] == list(frame["motor_pump"])
    stored = np.array([math.nan if value is None else value for _, value in rows])
    np.testing.assert_array_equal(stored, values)
