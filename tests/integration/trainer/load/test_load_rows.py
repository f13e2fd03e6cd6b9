"""Which rows are read, in which order, and when their fingerprints are equal."""

import hashlib
import struct
import uuid

import numpy as np
import pytest
from psycopg2.extensions import connection

from integration.trainer.load.telemetry_table import EVERYTHING, MACHINE, START, spec, write, write_simulated
from trainingjob_api.training_run import Window
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.telemetry import load_telemetry, read_telemetry


@pytest.mark.parametrize("type_name", ["timestamptz", "timestamp"])
def test_rows_with_implausible_timestamps_are_ignored_and_counted(session: connection, type_name: str) -> None:
    write(session, f'ALTER TABLE processed_data ALTER "timestamp" TYPE {type_name}')
    insert = 'INSERT INTO processed_data ("timestamp", motor_pump) VALUES (%s, %s)'
    for instant in ("0001-01-01", "0044-03-15 BC", "1969-12-31 23:59:59", "-infinity", "infinity", "10000-01-01"):
        write(session, insert, instant, MACHINE)
    with pytest.raises(TrainingError, match="all 6 rows of this period are before 1970 or after 9999"):
        load_telemetry(spec(), EVERYTHING)
    write(session, insert, "1970-01-01", MACHINE)
    write(session, insert, "9999-12-31", MACHINE)
    telemetry = load_telemetry(spec(), EVERYTHING)
    assert telemetry.timestamps.astype("datetime64[Y]").astype(str).tolist() == ["1970", "9999"]
    assert telemetry.counts == {"rows before 1970 or after 9999, ignored": 6}
    assert load_telemetry(spec(), Window(end=START)).counts == {"rows before 1970 or after 9999, ignored": 4}
    assert not load_telemetry(spec(), Window(start=START.replace(year=1970), end=START)).counts


def test_rows_of_one_instant_are_sorted_by_number_of_values_then_id(session: connection) -> None:
    rows = [(9, 1, None, 20), (8, 2, 2, 20), (7, 3, 3, 20), (6, 4, None, 20), (5, 5, 5, 10)]
    for id_, oil_pressure, oil_level, second in rows:
        write(
            session,
            'INSERT INTO processed_data (id, "timestamp", motor_pump, "Oil_P", "Oil_L") VALUES (%s, %s, %s, %s, %s)',
            *(str(uuid.UUID(int=id_)), START.replace(second=second), MACHINE, oil_pressure, oil_level),
        )
    assert load_telemetry(spec(), EVERYTHING).values["Oil_P"].tolist() == [5, 4, 1, 3, 2]


def test_the_period_includes_its_start_and_excludes_its_end(session: connection) -> None:
    for second in range(5):
        write(
            session,
            'INSERT INTO processed_data ("timestamp", motor_pump) VALUES (%s, %s)',
            *(START.replace(second=second), MACHINE),
        )
    write(session, "INSERT INTO processed_data (\"timestamp\", motor_pump) VALUES ('infinity', %s)", MACHINE)
    window = Window(start=START.replace(second=1), end=START.replace(second=3))
    expected = np.array(["2025-01-01T00:00:01", "2025-01-01T00:00:02"], "datetime64[us]")
    np.testing.assert_array_equal(load_telemetry(spec(), window).timestamps, expected)
    assert len(load_telemetry(spec(), EVERYTHING).timestamps) == 5
    assert len(load_telemetry(spec(), Window(end=START.replace(second=3))).timestamps) == 3


def test_equal_data_has_an_equal_fingerprint_in_any_storage(session: connection) -> None:
    table = write_simulated(session, 2000)
    table = table.drop_duplicates("timestamp")
    write(session, "DELETE FROM processed_data")
    copy_rows(session, "processed_data", table)
    first = load_telemetry(spec(), EVERYTHING).fingerprint
    write(session, "DELETE FROM processed_data")
    copy_rows(session, "processed_data", table.sample(frac=1, random_state=1))
    assert load_telemetry(spec(), EVERYTHING).fingerprint == first
    write(session, 'UPDATE processed_data SET "Fuel_Con" = 1, "Oil_P_variation" = 7')
    assert load_telemetry(spec(), EVERYTHING).fingerprint == first


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE processed_data SET "Oil_P" = 1 WHERE "timestamp" = (SELECT max("timestamp") FROM processed_data)',
        'UPDATE processed_data SET "timestamp" = "timestamp" + interval \'1 microsecond\'',
        'DELETE FROM processed_data WHERE "timestamp" = (SELECT min("timestamp") FROM processed_data)',
        'ALTER TABLE processed_data ADD "Oil_T" real',
    ],
)
def test_other_data_has_another_fingerprint(session: connection, change: str) -> None:
    write_simulated(session, 200)
    before = load_telemetry(spec(), EVERYTHING).fingerprint
    write(session, change)
    assert load_telemetry(spec(), EVERYTHING).fingerprint != before


@pytest.mark.parametrize("columns", range(1, 10))
def test_the_fingerprint_is_the_hash_of_names_and_rows(session: connection, columns: int) -> None:
    names = [f"sensor_{index}" for index in range(columns)]
    definitions = ", ".join(f"{name} double precision" for name in names)
    write(session, f'CREATE TABLE readings ("timestamp" timestamptz, motor_pump text, {definitions})')
    rows: list[list[float | None]] = [
        [1.1, None, 1e300, -0.0, float("inf"), 1e-300, float("-inf"), 3, 4][:columns],
        [float(index) for index in range(columns)],
    ]
    digest = hashlib.sha256("\n".join((MACHINE, *names)).encode())
    for second, row in enumerate(rows):
        at = START.replace(second=second)
        # As text, because a literal -0.0 would be numeric, which has no sign of zero.
        texts = [None if number is None else str(number) for number in row]
        write(session, f"INSERT INTO readings VALUES (%s, %s{', %s' * columns})", at, MACHINE, *texts)
        digest.update(struct.pack(">hiq", columns + 1, 8, int((at.timestamp() - 946_684_800) * 1e6)))
        for number in row:
            digest.update(struct.pack(">id", 8, float("nan") if number is None else number))
    telemetry = load_telemetry(spec("xgb", data={"table": "readings"}), EVERYTHING)
    assert telemetry.fingerprint == digest.hexdigest()
    with np.errstate(over="ignore"):
        expected = np.array(rows, np.float64).astype(np.float32)
    np.testing.assert_array_equal(telemetry.values, expected)


def test_the_rows_of_two_machines_are_not_mixed(session: connection) -> None:
    write_simulated(session, 300)
    write_simulated(session, 300, machine="ITU-415")
    telemetry = read_telemetry(session, spec(), EVERYTHING)
    assert len(telemetry.timestamps) == 300
