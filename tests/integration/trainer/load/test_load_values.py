"""Which columns of which types are read, and what becomes of their values."""

import numpy as np
import pytest
from psycopg2.extensions import connection

from integration.trainer.load.telemetry_table import EVERYTHING, MACHINE, START, spec, write, write_simulated
from trainingjob_api.training_run import Window
from trainingjob_trainer.data.cleaning import clean
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.data.dataset import UnreadableColumn
from trainingjob_trainer.storage.telemetry import load_telemetry


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
