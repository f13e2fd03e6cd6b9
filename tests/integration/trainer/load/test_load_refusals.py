"""What cannot be loaded, and how that is reported."""

import pytest
from psycopg2.extensions import connection

from integration.trainer.load.telemetry_table import MACHINE, START, refusal, spec, write
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import Window
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import with_connection


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
