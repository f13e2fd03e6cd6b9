"""The trial of the registry before training: it executes the same statements, and reports what to change."""

from dataclasses import replace

import pytest
from psycopg2.extensions import connection

from integration.trainer.statements import execute, select
from integration.trainer.test_registry import KEY, MODEL
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage import registry
from trainingjob_trainer.storage.postgres import create_tables, with_connection

FILLED = "machine_name, model_type, bucket_address, data_start_date, data_end_date, metrics"
OTHER_RUN = replace(KEY, run=3)
OTHER_MODEL = replace(MODEL, bucket_address="another.h5")


@pytest.fixture
def tables(session: connection) -> connection:
    """The registry of an installation in which one model is registered, with ids from a sequence."""
    execute(session, "CREATE TABLE machines (name text PRIMARY KEY); CREATE TABLE audit (note text)")
    execute(
        session,
        "CREATE TABLE models (id serial PRIMARY KEY, machine_name text, bucket_address text, "
        "data_start_date timestamptz, data_end_date timestamptz, metrics jsonb, model_type text)",
    )
    create_tables(session)
    registry.save_model_metadata(KEY, MODEL)
    return session


def contents(session: connection) -> list[tuple[object, ...]]:
    """Every row of the registry."""
    return [*select(session, "SELECT * FROM models"), *select(session, "SELECT * FROM training_runs")]


def test_a_successful_trial_leaves_no_rows(tables: connection) -> None:
    before = contents(tables)
    registry.try_registration(OTHER_RUN, OTHER_MODEL)
    assert contents(tables) == before
    assert registry.find_run(OTHER_RUN.uid, OTHER_RUN.run) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("REVOKE INSERT ON models FROM CURRENT_USER", ["table models", f"GRANT INSERT ({FILLED})"]),
        ("REVOKE SELECT ON models FROM CURRENT_USER", ["table models", "GRANT SELECT (bucket_address)"]),
        (
            "REVOKE ALL ON SEQUENCE models_id_seq FROM CURRENT_USER",
            ["table models", "GRANT USAGE ON SEQUENCE models_id_seq"],
        ),
        ("REVOKE UPDATE ON training_runs FROM CURRENT_USER", ["table training_runs: UPDATE", "SELECT, INSERT, UPDATE"]),
        ("REVOKE INSERT ON training_runs FROM CURRENT_USER", ["table training_runs: INSERT", "SELECT, INSERT, UPDATE"]),
        (
            "ALTER TABLE models ADD site text NOT NULL DEFAULT '-'; ALTER TABLE models ALTER site DROP DEFAULT",
            ["Column site", FILLED],
        ),
        ("ALTER TABLE models ADD CONSTRAINT only_xgb CHECK (model_type = 'xgb') NOT VALID", ["constraint only_xgb"]),
        (
            "ALTER TABLE models ADD CONSTRAINT one_each UNIQUE (machine_name, model_type)",
            ["constraint one_each", "(machine_name, model_type)=(MOTOBOMBA-007, gru)"],
        ),
        (
            "UPDATE models SET bucket_address = ''; ALTER TABLE models ALTER bucket_address TYPE varchar(8)",
            ["bucket_address holds 8 characters but 10 are needed", "ALTER COLUMN bucket_address TYPE text"],
        ),
        ("ALTER TABLE models DROP COLUMN data_end_date", ['column "data_end_date"', FILLED]),
        ("ALTER TABLE models ALTER model_type TYPE integer USING 1", ["table models", '"gru"', FILLED]),
        ("DROP TABLE models", ["table models", "trainingjob-trainer init-db"]),
        (
            "ALTER TABLE models ADD CONSTRAINT known_machine FOREIGN KEY (machine_name) REFERENCES machines "
            "DEFERRABLE INITIALLY DEFERRED NOT VALID",
            ["table models", "constraint known_machine"],
        ),
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'no model on a Sunday'; END$$; "
            "CREATE TRIGGER refuse BEFORE INSERT ON models FOR EACH ROW EXECUTE FUNCTION refuse()",
            ["table models", "no model on a Sunday"],
        ),
    ],
)
def test_the_trial_reports_the_error_of_the_registration(tables: connection, change: str, told: list[str]) -> None:
    execute(tables, change)
    with pytest.raises(TrainingError) as refusal:
        registry.try_registration(OTHER_RUN, OTHER_MODEL)
    assert (refusal.value.reason, refusal.value.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
    assert not refusal.value.transient
    assert [words for words in told if words not in refusal.value.message] == [], refusal.value.message


@pytest.mark.parametrize(("readable", "has_id"), [("bucket_address", False), ("bucket_address, id", True)])
def test_rights_on_the_documented_columns_are_sufficient(tables: connection, readable: str, has_id: bool) -> None:
    execute(tables, "REVOKE ALL ON models FROM CURRENT_USER")
    execute(tables, f"GRANT INSERT ({FILLED}), SELECT ({readable}) ON models TO CURRENT_USER")
    registry.try_registration(OTHER_RUN, OTHER_MODEL)
    recorded = registry.save_model_metadata(OTHER_RUN, OTHER_MODEL)
    assert (recorded.model_id is not None) == has_id
    assert registry.find_equal_run(KEY) == recorded


def test_a_read_only_server_is_transient(tables: connection) -> None:
    database = tables.info.dbname
    execute(tables, f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    with pytest.raises(TrainingError, match="primary") as refusal:
        registry.try_registration(OTHER_RUN, OTHER_MODEL, patience_seconds=0.5)
    assert refusal.value.transient


def test_a_failover_during_the_registration_is_retried(tables: connection) -> None:
    database = tables.info.dbname
    execute(tables, f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
    tries = []

    def insert(session: connection) -> None:
        tries.append(session)
        # The next connection reaches a server that accepts writes again.
        execute(tables, f'ALTER DATABASE "{database}" RESET default_transaction_read_only')
        execute(session, "INSERT INTO audit VALUES ('written')")

    with_connection(insert, reason=Reason.REGISTRY_FAILED)
    assert len(tries) == 2
    assert select(tables, "SELECT note FROM audit") == [("written",)]


def test_a_lock_timeout_is_transient(tables: connection) -> None:
    def wait_for_no_lock(session: connection) -> None:
        execute(session, "LOCK TABLE models NOWAIT")

    execute(tables, "BEGIN; LOCK TABLE models")
    with pytest.raises(TrainingError) as refusal:
        with_connection(wait_for_no_lock, reason=Reason.REGISTRY_FAILED, patience_seconds=0.5)
    assert refusal.value.transient


def test_settings_last_only_for_their_transaction(tables: connection) -> None:
    of_the_database = {"statement_timeout": "1h", "timezone": "America/Sao_Paulo"}
    of_the_database["idle_in_transaction_session_timeout"] = "2h"
    for name, value in of_the_database.items():
        execute(tables, f"ALTER DATABASE \"{tables.info.dbname}\" SET {name} = '{value}'")

    def settings(session: connection) -> dict[str, str]:
        return {name: select(session, f"SELECT current_setting('{name}')")[0][0] for name in of_the_database}

    def two_transactions(session: connection) -> tuple[dict[str, str], dict[str, str]]:
        ours = settings(session)
        session.commit()
        # A pooler would pass the open transaction on to another client.
        return ours, settings(session)

    ours, theirs = with_connection(two_transactions, reason=Reason.REGISTRY_FAILED)
    assert ours == {"statement_timeout": "30min", "timezone": "UTC", "idle_in_transaction_session_timeout": "10min"}
    assert theirs == of_the_database
