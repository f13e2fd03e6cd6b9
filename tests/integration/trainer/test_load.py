"""Loading from a real PostgreSQL server: what is read, in which order, and what happens when something is wrong."""

import contextlib
import socket
import threading
import tracemalloc
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from psycopg2.extensions import connection

from cluster.postgres import Database
from cluster.processes import free_ports
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.data.cleaning import clean
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.data.dataset import UnreadableColumn
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage import postgres as database_module
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.postgres import create_tables, with_connection
from trainingjob_trainer.storage.telemetry import load_telemetry, read_telemetry
from trainingjob_trainer.tools.simulate import simulate

MACHINE = "MOTOBOMBA-007"
START = datetime(2025, 1, 1, tzinfo=UTC)
EVERYTHING = Window()


def spec(model: str = "gru", data: dict[str, object] | None = None, **block: object) -> TrainingJobSpec:
    return TrainingJobSpec.model_validate(
        {"machine": MACHINE, "model": {"type": model, model: block}, "data": data or {}}
    )


@pytest.fixture
def session(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[connection]:
    """A connection as the owner of the tables; libpq's environment points at the same database."""
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(database.connect()) as session:
        create_tables(session)
        session.commit()
        yield session


def write(session: connection, sql: str, *values: object) -> None:
    with session.cursor() as cursor:
        cursor.execute(sql, values)
    session.commit()


def write_simulated(session: connection, rows: int, machine: str = MACHINE) -> pd.DataFrame:
    table = pd.concat(simulate(machine, start=START, rows=rows), ignore_index=True)
    copy_rows(session, "processed_data", table)
    session.commit()
    return table


def refusal(spec: TrainingJobSpec, window: Window = EVERYTHING) -> TrainingError:
    with pytest.raises(TrainingError) as refusal:
        load_telemetry(spec, window)
    return refusal.value


def test_a_gru_loads_its_columns_exactly_and_in_time_order(session: connection) -> None:
    table = write_simulated(session, 3000)
    write_simulated(session, 100, machine="ITU-415")
    telemetry = load_telemetry(spec(), EVERYTHING)
    assert list(telemetry.values) == [
        *("Bat_V", "Cool_T", "Eng_RPM", "Oil_L", "Oil_P", "Recalque", "Succao", "running"),
        *("FlexAnalogue4_1", "FlexAnalogue4_2"),
    ]
    assert telemetry.machine == MACHINE
    assert not telemetry.warnings
    expected = table.assign(present=table[list(telemetry.values)].notna().sum(axis=1))
    expected = expected.sort_values(["timestamp", "present"], kind="stable")
    np.testing.assert_array_equal(telemetry.timestamps, expected["timestamp"].to_numpy())
    np.testing.assert_array_equal(telemetry.values, expected[list(telemetry.values)].to_numpy(np.float32))


def test_an_xgb_loads_every_numeric_column_and_no_text(session: connection) -> None:
    write(session, "ALTER TABLE processed_data ADD hours integer, ADD note text, ADD alarm boolean, ADD cost numeric")
    write(
        session,
        'INSERT INTO processed_data ("timestamp", motor_pump, hours, note, alarm, cost) VALUES %s',
        (START, MACHINE, 7, "x", True, 2.5),
    )
    telemetry = load_telemetry(spec("xgb"), EVERYTHING)
    assert telemetry.values.shape == (1, len(TELEMETRY_COLUMNS) + 3)
    assert telemetry.values[["hours", "alarm", "cost"]].iloc[0].tolist() == [7, 1, 2.5]
    assert "note" not in telemetry.values
    assert telemetry.values["Oil_P"].isna().all()


def test_chosen_features_and_sources_of_renames_are_loaded(session: connection) -> None:
    write(session, 'ALTER TABLE processed_data ADD "Pressao 2" real')
    write_simulated(session, 10)
    wanted = spec(data={"columns": {"Oil_T": "Pressao 2"}}, features=["Fuel_L"], output="Direct")
    columns = set(load_telemetry(wanted, EVERYTHING).values)
    assert columns >= {"Fuel_L", "Pressao 2", "Oil_P", "Oil_L", "Recalque", "Succao", "running", "Eng_RPM"}
    assert "Cool_T" not in columns
    derived = spec(features=["Head_per_RPM"], output="Direct")
    assert set(load_telemetry(derived, EVERYTHING).values) >= set(TELEMETRY_COLUMNS)


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        *(("'NaN'", np.nan), ("NULL", np.nan), ("'Infinity'", np.inf), ("'-Infinity'", -np.inf)),
        *(("1e300", np.inf), ("1e-300", 0.0), ("2147483647", 2147483648.0), ("-273.2", np.float32(-273.2))),
    ],
)
def test_any_number_in_the_table_is_read(session: connection, stored: str, read: float) -> None:
    write(
        session, f'INSERT INTO processed_data ("timestamp", motor_pump, "Oil_P") VALUES (now(), %s, {stored})', MACHINE
    )
    np.testing.assert_array_equal(load_telemetry(spec(), EVERYTHING).values["Oil_P"], np.float32([read]))


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        *(("1e400", np.inf), ("-1e400", -np.inf), ("1e-400", 0.0), ("'NaN'", np.nan), ("NULL", np.nan)),
        *(("'Infinity'", np.inf), ("2.5", 2.5), ("-1e307", -np.inf)),
    ],
)
def test_any_numeric_is_read_and_one_too_large_is_a_false_reading_of_its_column(
    session: connection, stored: str, read: float
) -> None:
    write(session, 'ALTER TABLE processed_data ALTER "Oil_P" TYPE numeric')
    insert = 'INSERT INTO processed_data ("timestamp", motor_pump, "Oil_P") VALUES (%s, %s, '
    for day in range(1, 5):
        write(session, f"{insert}{stored if day == 1 else '480'})", START.replace(day=day), MACHINE)
    telemetry = load_telemetry(spec(), EVERYTHING)
    np.testing.assert_array_equal(telemetry.values["Oil_P"][:1], np.float32([read]))
    counts = clean(telemetry, spec(data={"minRows": 1}).data).counts
    assert counts.get("false readings in Oil_P", 0) == int(np.isinf(read))


def test_columns_of_a_domain_are_read_as_their_base_type(session: connection) -> None:
    write(session, "CREATE DOMAIN level AS real CHECK (VALUE < 1e6); CREATE DOMAIN oil AS level")
    write(session, "CREATE DOMAIN pump AS text; CREATE DOMAIN instant AS timestamptz")
    for column, domain in (("Oil_P", "oil"), ("Oil_L", "level"), ("motor_pump", "pump"), ("timestamp", "instant")):
        write(session, f'ALTER TABLE processed_data ALTER "{column}" TYPE {domain}')
    table = write_simulated(session, 100)
    telemetry = load_telemetry(spec(), EVERYTHING)
    assert len(telemetry.timestamps) == len(table)
    assert (
        telemetry.values[["Oil_P", "Oil_L"]].notna().to_numpy().sum() == table[["Oil_P", "Oil_L"]].notna().sum().sum()
    )
    assert not telemetry.unreadable


def test_sensors_that_are_not_numeric_are_named_with_their_counts(session: connection) -> None:
    write(session, "CREATE DOMAIN spoken AS text")
    write(session, 'ALTER TABLE processed_data ALTER "Oil_P" TYPE text, ALTER "Cool_T" TYPE spoken, ADD note text')
    insert = 'INSERT INTO processed_data ("timestamp", motor_pump, "Oil_P", note) VALUES (%s, %s, %s, %s)'
    write(session, insert, START, MACHINE, "480,5", "x")
    write(session, insert, START, MACHINE, None, "x")
    expected = {"Oil_P": UnreadableColumn("text", 1), "Cool_T": UnreadableColumn("text", 0)}
    for model in ("gru", "xgb"):
        telemetry = load_telemetry(spec(model), EVERYTHING)
        assert telemetry.unreadable == expected
        assert "Oil_P" not in telemetry.values


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
    session.commit()
    first = load_telemetry(spec(), EVERYTHING).fingerprint
    write(session, "DELETE FROM processed_data")
    copy_rows(session, "processed_data", table.sample(frac=1, random_state=1))
    session.commit()
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


def test_an_old_table_without_id_and_zones_in_another_schema_is_read(session: connection) -> None:
    write(session, "CREATE SCHEMA plant")
    write(
        session,
        'CREATE TABLE plant."Telemetry" ("timestamp" timestamp, motor_pump varchar(40), "Oil_P" real, "Oil_L" int2)',
    )
    write(
        session,
        "INSERT INTO plant.\"Telemetry\" VALUES ('2025-01-01 00:00:01', %s, 1.5, 2), ('2025-01-01', %s, 3.5, NULL)",
        *(MACHINE, MACHINE),
    )
    telemetry = load_telemetry(spec(data={"table": "plant.Telemetry"}), Window(start=START))
    assert telemetry.timestamps[0] == np.datetime64("2025-01-01")
    (warning,) = telemetry.warnings
    assert "plant.Telemetry has no time zone, so its values are read as UTC" in warning
    np.testing.assert_array_equal(telemetry.values, np.array([[3.5, np.nan], [1.5, 2]], np.float32))


def test_a_table_of_many_columns_is_read(session: connection) -> None:
    write(session, f"ALTER TABLE processed_data {', '.join(f'ADD extra_{index} real' for index in range(250))}")
    write_simulated(session, 20)
    assert load_telemetry(spec("xgb"), EVERYTHING).values.shape == (20, len(TELEMETRY_COLUMNS) + 250)


@pytest.mark.parametrize("table", ["Processed_Data", "nowhere.processed_data"])
def test_a_missing_table_is_named(session: connection, table: str) -> None:
    error = refusal(spec(data={"table": table}))
    assert error.reason == "DataUnavailable"
    assert f"no table {table} " in error.message


def test_a_table_that_is_not_telemetry_is_refused_with_its_columns(session: connection) -> None:
    write(session, 'CREATE TABLE other ("timestamp" text, motor_pump text, "Oil_P" real)')
    error = refusal(spec(data={"table": "other"}))
    assert error.reason == "DataUnavailable"
    assert "timestamp (text)" in error.message


def test_a_machine_without_rows_is_refused_with_the_available_data(session: connection) -> None:
    error = refusal(spec())
    assert (error.reason, error.exit_code) == ("InsufficientData", ExitCode.DATA)
    assert f"machine {MACHINE}: table processed_data has no row of this machine" in error.message
    write(session, 'INSERT INTO processed_data ("timestamp", motor_pump) VALUES (%s, %s)', START, MACHINE)
    error = refusal(spec(), Window(start=START.replace(month=2)))
    assert "has rows from 2025-01-01 00:00:00+00 to 2025-01-01 00:00:00+00, but none in this period" in error.message


def test_loading_cannot_write(session: connection) -> None:
    with pytest.raises(TrainingError, match="read-only transaction"):
        with_connection(
            lambda session: write(session, "DELETE FROM models"), reason=Reason.DATA_UNAVAILABLE, read_only=True
        )


def test_extra_memory_is_bounded_by_the_final_arrays(session: connection) -> None:
    write(
        session,
        'INSERT INTO processed_data ("timestamp", motor_pump, "Oil_P", "Oil_L", "Recalque", "Succao") '
        "SELECT %s + n * interval '1 second', %s, n, n, n, n FROM generate_series(1, 150000) AS n",
        *(START, MACHINE),
    )
    load_telemetry(spec(), EVERYTHING)
    tracemalloc.start()
    try:
        telemetry = load_telemetry(spec(), EVERYTHING)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    final = telemetry.timestamps.nbytes + telemetry.values.memory_usage(index=False).sum()
    assert peak - final <= 2 * final


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("PGPASSWORD", "wrong", "password authentication failed"),
        ("PGDATABASE", "nowhere", 'database "nowhere" does not exist'),
        ("PGUSER", "nobody", "nobody"),
        ("PGSSLMODE", "require", "does not support SSL"),
        ("PGSSLMODE", "maybe", "invalid sslmode"),
        ("PGPORT", "port", "invalid integer"),
    ],
)
def test_a_wrong_configuration_is_refused_at_once(
    session: connection, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(variable, value)
    error = refusal(spec())
    assert (error.reason, error.transient) == ("DataUnavailable", False)
    assert told in error.message


def test_a_server_that_stays_unavailable_is_a_transient_error(
    session: connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPORT", str(free_ports(1)[0]))
    with pytest.raises(TrainingError, match="Connection refused") as refusal:
        with_connection(lambda _: None, reason=Reason.DATA_UNAVAILABLE, patience_seconds=0.5)
    assert refusal.value.transient
    assert refusal.value.exit_code is ExitCode.UNEXPECTED


@contextlib.contextmanager
def proxy(database: Database, bytes_of_connection: Callable[[int], int | None]) -> Iterator[int]:
    """A port in front of the server that cuts its n-th connection after so many bytes from the server, None never."""

    def forward(source: socket.socket, target: socket.socket, budget: int | None) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                if budget is not None:
                    budget -= len(data)
                    if budget < 0:
                        break
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(listener: socket.socket) -> None:
        number = 0
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((database.host, database.port))
                for ends in ((client, server, None), (server, client, bytes_of_connection(number))):
                    threading.Thread(target=forward, args=ends, daemon=True).start()
                number += 1

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def test_a_connection_that_breaks_while_loading_is_opened_again(
    session: connection, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_simulated(session, 4000)
    whole = load_telemetry(spec(), EVERYTHING)
    limits = {0: 0, 1: 100_000}
    with proxy(database, limits.get) as port:
        monkeypatch.setenv("PGPORT", str(port))
        again = load_telemetry(spec(), EVERYTHING)
    assert again.fingerprint == whole.fingerprint
    np.testing.assert_array_equal(again.values, whole.values)


def test_a_statement_that_takes_too_long_is_ended_by_the_server(
    session: connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_SECONDS", 0.2)
    with pytest.raises(TrainingError, match="statement timeout") as refusal:
        with_connection(lambda session: write(session, "SELECT pg_sleep(60)"), reason=Reason.DATA_UNAVAILABLE)
    assert refusal.value.transient


def test_the_rows_of_two_machines_are_not_mixed(session: connection) -> None:
    write_simulated(session, 300)
    write_simulated(session, 300, machine="ITU-415")
    telemetry = read_telemetry(session, spec(), EVERYTHING)
    assert len(telemetry.timestamps) == 300
