"""The registry on a real PostgreSQL server: a model is registered once, completely, and can be found."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg2.extensions import connection

from integration.trainer.statements import execute, select
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage import registry
from trainingjob_trainer.storage.postgres import create_tables, with_connection
from trainingjob_trainer.storage.registry_rows import ModelRow, RunKey

KEY = RunKey(uid="3f0c9a1e-0000", run=2, spec_hash="a" * 64, trainer_revision=1, fingerprint="f" * 64)
MODEL = ModelRow(
    machine_name="MOTOBOMBA-007",
    model_type="gru",
    bucket_address="gru_model_weights_MOTOBOMBA-007_2025_01_02_03_04_05.h5",
    data_start_date=datetime(2025, 1, 1, tzinfo=UTC),
    data_end_date=datetime(2025, 3, 1, 12, tzinfo=UTC),
    metrics={"mae": 0.1, "r2": None, "features_used": ["Oil_P"], "nested": {"name": "São"}},
)


@pytest.fixture
def tables(session: connection) -> connection:
    """The session, after the tables are created."""
    create_tables(session)
    return session


def in_parallel(*works: Callable[[], object]) -> None:
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_tables_are_created_once_also_by_two_programs(session: connection) -> None:
    in_parallel(*[lambda: with_connection(create_tables, reason=Reason.REGISTRY_FAILED)] * 3)
    tables = {name for (name,) in select(session, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    ledger = {"fleet_runs", "fleet_machines", "fleet_tasks"}
    assert tables == {"processed_data", "models", "training_runs"} | ledger


def test_tables_of_another_owner_are_not_changed(session: connection) -> None:
    execute(session, "CREATE TABLE models (name text)")
    execute(session, "CREATE TABLE processed_data (name text)")
    with_connection(create_tables, reason=Reason.REGISTRY_FAILED)
    columns = select(session, "SELECT table_name, column_name FROM information_schema.columns "
                     "WHERE table_name IN ('models', 'processed_data')")  # fmt: skip
    assert sorted(columns) == [("models", "name"), ("processed_data", "name")]


def test_a_registered_model_is_a_row_in_the_format_of_the_readers(tables: connection) -> None:
    recorded = registry.save_model_metadata(KEY, MODEL)
    assert select(
        tables,
        "SELECT id::text, machine_name, model_type, bucket_address, data_start_date, data_end_date, metrics "
        "FROM models",
    ) == [
        (
            *(recorded.model_id, MODEL.machine_name, MODEL.model_type, MODEL.bucket_address),
            *(MODEL.data_start_date, MODEL.data_end_date, MODEL.metrics),
        )
    ]
    assert recorded == registry.find_run(KEY.uid, KEY.run)
    assert (recorded.outcome, recorded.metrics) == ("registered", MODEL.metrics)
    assert registry.find_run(KEY.uid, 3) is None


def test_a_models_table_without_id_or_with_other_types_is_supported(session: connection) -> None:
    execute(
        session,
        "CREATE TABLE models (machine_name varchar(80), bucket_address text, data_start_date timestamp, "
        "data_end_date date, metrics json, model_type varchar(10), active boolean DEFAULT true)",
    )
    with_connection(create_tables, reason=Reason.REGISTRY_FAILED)
    assert registry.save_model_metadata(KEY, MODEL).model_id is None
    assert select(session, "SELECT data_start_date::text, data_end_date::text, active FROM models") == [
        ("2025-01-01 00:00:00", "2025-03-01", True)
    ]


def test_a_run_is_registered_once(tables: connection) -> None:
    first = registry.save_model_metadata(KEY, MODEL)
    again = registry.save_model_metadata(KEY, replace(MODEL, bucket_address="other.h5", metrics={}))
    assert again == first
    assert registry.record_rejected(KEY, "other.h5", {}) == first
    assert select(tables, "SELECT count(*) FROM models") == [(1,)]


def test_a_run_is_registered_once_by_concurrent_trainers(tables: connection) -> None:
    recorded = []
    models = [replace(MODEL, bucket_address=f"{number}.h5") for number in range(5)]
    in_parallel(*(lambda model=model: recorded.append(registry.save_model_metadata(KEY, model)) for model in models))
    assert len(recorded) == 5
    assert len({run.bucket_address for run in recorded}) == 1
    assert select(tables, "SELECT bucket_address FROM models") == [(recorded[0].bucket_address,)]


def test_a_failed_registration_leaves_no_rows(tables: connection) -> None:
    execute(tables, "ALTER TABLE models ADD CHECK (model_type = 'xgb')")
    with pytest.raises(TrainingError, match="violates check constraint") as refusal:
        registry.save_model_metadata(KEY, MODEL)
    assert (refusal.value.reason, refusal.value.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
    assert not refusal.value.transient
    assert registry.find_run(KEY.uid, KEY.run) is None


def test_a_number_that_is_not_strict_json_is_never_stored(tables: connection) -> None:
    with pytest.raises(ValueError, match="JSON"):
        registry.save_model_metadata(KEY, replace(MODEL, metrics={"r2": float("nan")}))
    assert select(tables, "SELECT count(*) FROM models") == [(0,)]


def test_a_rejected_model_is_recorded_as_a_run_only(tables: connection) -> None:
    recorded = registry.record_rejected(KEY, "rejected/x.h5", {"skill": -1})
    assert (recorded.outcome, recorded.model_id) == ("rejected", None)
    assert registry.find_run(KEY.uid, KEY.run) == recorded
    assert registry.find_equal_run(KEY) is None
    assert select(tables, "SELECT count(*) FROM models") == [(0,)]


def test_an_equal_run_is_found_and_adopted_without_another_model(tables: connection) -> None:
    first = registry.save_model_metadata(KEY, MODEL)
    other = replace(KEY, uid="another", run=1)
    found = registry.find_equal_run(other)
    assert found == first
    adopted = registry.record_adopted(other, found)
    assert (adopted.uid, adopted.run, adopted.outcome) == ("another", 1, "adopted")
    assert (adopted.bucket_address, adopted.model_id, adopted.metrics) == (
        *(first.bucket_address, first.model_id, first.metrics),
    )
    assert registry.find_equal_run(replace(KEY, uid="third")) == first
    assert select(tables, "SELECT count(*) FROM models") == [(1,)]


@pytest.mark.parametrize("field", [{"spec_hash": "b" * 64}, {"trainer_revision": 2}, {"fingerprint": "e" * 64}])
def test_a_run_that_differs_is_not_equal(tables: connection, field: dict[str, Any]) -> None:
    registry.save_model_metadata(KEY, MODEL)
    assert registry.find_equal_run(replace(KEY, **field)) is None


def test_the_newest_of_equal_runs_is_found(tables: connection) -> None:
    registry.save_model_metadata(KEY, MODEL)
    newer = registry.save_model_metadata(replace(KEY, run=3), replace(MODEL, bucket_address="newer.h5"))
    assert registry.find_equal_run(KEY) == newer


def test_a_model_that_its_owner_removed_is_not_adopted(tables: connection) -> None:
    registry.save_model_metadata(KEY, MODEL)
    execute(tables, "DELETE FROM models")
    assert registry.find_equal_run(KEY) is None


def test_missing_tables_are_reported_with_the_command_to_create_them(session: connection) -> None:
    for work in (lambda: registry.find_run("uid", 1), lambda: registry.save_model_metadata(KEY, MODEL)):
        with pytest.raises(TrainingError, match="trainingjob-trainer init-db") as refusal:
            work()
        assert (refusal.value.reason, refusal.value.transient) == ("RegistryFailed", False)
