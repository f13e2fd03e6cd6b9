"""The registry: ``models``, which readers use, and ``training_runs``, which makes registration happen once."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from psycopg2.extensions import connection, cursor

from trainingjob_trainer.database import with_connection
from trainingjob_trainer.errors import TrainingError

Outcome = Literal["registered", "rejected", "adopted"]

_COLUMNS = "uid, run, outcome, bucket_address, model_id, metrics"


@dataclass(frozen=True)
class RunKey:
    """What makes a run this run, and what makes it equal to another.

    Attributes:
        uid: Of the TrainingJob; with ``run`` the key of the registry.
        run: Counts the runs of the TrainingJob.
        spec_hash: Equal for runs that train the same model on the same selection of data.
        recipe: Number of the way that models are made; another number makes another kind of model.
        fingerprint: Of the telemetry.
    """

    uid: str
    run: int
    spec_hash: str
    recipe: int
    fingerprint: str


@dataclass(frozen=True)
class RecordedRun:
    """A run as the registry has it.

    Attributes:
        uid: With ``run`` its key.
        run: Counts the runs of its TrainingJob.
        outcome: What became of it.
        bucket_address: Name of the model's object, without the bucket.
        model_id: The id of its row in ``models``; None where that table has no id, or the model was rejected.
        metrics: As registered.
    """

    uid: str
    run: int
    outcome: Outcome
    bucket_address: str
    model_id: str | None
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRow:
    """What readers find of a model in ``models``; the column names are the contract's.

    Attributes:
        machine_name: The machine.
        model_type: ``gru`` or ``xgb``.
        bucket_address: Name of the model's object, without the bucket.
        data_start_date: First instant of the data used.
        data_end_date: Last instant of the data used.
        metrics: Strict JSON: no number in it is infinite or NaN.
    """

    machine_name: str
    model_type: str
    bucket_address: str
    data_start_date: datetime
    data_end_date: datetime
    metrics: Mapping[str, Any]


def check_tables() -> None:
    """Make sure, before anything is trained, that what is to be written at the end can be written.

    Raises:
        TrainingError: RegistryFailed, naming the table that is missing or closed to us.
    """
    with_connection(_refuse_closed_tables, reason="RegistryFailed", read_only=True)


def _refuse_closed_tables(session: connection) -> None:
    with session.cursor() as rows:
        for table in ("models", "training_runs"):
            rows.execute("SELECT has_table_privilege(to_regclass(%s), 'INSERT')", (table,))
            (writable,) = rows.fetchone() or (None,)
            if not writable:
                fault = "may not insert into" if writable is False else "sees no"
                raise TrainingError(
                    "RegistryFailed",
                    f"database {session.info.dbname}: user {session.info.user} {fault} table {table}. Run "
                    "`trainingjob-trainer init-db` once as an owner of the database, or grant SELECT, INSERT, UPDATE.",
                )


def find_run(uid: str, run: int) -> RecordedRun | None:
    """Look for this very run: an attempt before this one may have got as far as the registry.

    Raises:
        TrainingError: RegistryFailed.
    """
    return with_connection(lambda session: _find(session, uid, run), reason="RegistryFailed", read_only=True)


def find_equal_run(key: RunKey) -> RecordedRun | None:
    """Look for the newest registered model of equal spec hash, recipe and fingerprint that readers still find.

    Raises:
        TrainingError: RegistryFailed.
    """

    def look_up(session: connection) -> RecordedRun | None:
        with session.cursor() as rows:
            rows.execute(
                f"SELECT {_COLUMNS} FROM training_runs WHERE spec_hash = %s AND fingerprint = %s AND recipe = %s "
                "AND outcome = 'registered' "
                "AND EXISTS (SELECT FROM models WHERE models.bucket_address = training_runs.bucket_address) "
                "ORDER BY recorded_at DESC, uid, run DESC LIMIT 1",
                (key.spec_hash, key.fingerprint, key.recipe),
            )
            return _recorded(rows)

    return with_connection(look_up, reason="RegistryFailed", read_only=True)


def save_model_metadata(key: RunKey, model: ModelRow) -> RecordedRun:
    """Register a model: one row in ``models``, one in ``training_runs``, together or not at all, once for each run.

    Returns:
        The run as recorded; when it was recorded before, that record, and nothing is written.

    Raises:
        TrainingError: RegistryFailed.
    """
    run = RecordedRun(key.uid, key.run, "registered", model.bucket_address, None, model.metrics)

    def write(session: connection) -> RecordedRun:
        with session.cursor() as rows:
            if _record(rows, key, run):
                model_id = _insert_model(rows, model)
                rows.execute(
                    "UPDATE training_runs SET model_id = %s WHERE uid = %s AND run = %s", (model_id, key.uid, key.run)
                )
        return _known(session, key)

    return with_connection(write, reason="RegistryFailed")


def record_rejected(key: RunKey, bucket_address: str, metrics: Mapping[str, Any]) -> RecordedRun:
    """Record that a model failed a gate; ``models`` stays as it is. A run recorded before keeps its record.

    Raises:
        TrainingError: RegistryFailed.
    """
    return _record_only(key, RecordedRun(key.uid, key.run, "rejected", bucket_address, None, metrics))


def record_adopted(key: RunKey, equal: RecordedRun) -> RecordedRun:
    """Record that a run took the model of an equal one; ``models`` stays as it is.

    Raises:
        TrainingError: RegistryFailed.
    """
    return _record_only(key, replace(equal, uid=key.uid, run=key.run, outcome="adopted"))


def _record_only(key: RunKey, run: RecordedRun) -> RecordedRun:
    def write(session: connection) -> RecordedRun:
        with session.cursor() as rows:
            _record(rows, key, run)
        return _known(session, key)

    return with_connection(write, reason="RegistryFailed")


def _record(rows: cursor, key: RunKey, run: RecordedRun) -> bool:
    """Insert the run; False when its key is there. Of two at once the second waits for the first."""
    rows.execute(
        "INSERT INTO training_runs "
        "(uid, run, spec_hash, recipe, fingerprint, outcome, bucket_address, model_id, metrics) "
        "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (uid, run) DO NOTHING",
        (
            *(key.uid, key.run, key.spec_hash, key.recipe, key.fingerprint),
            *(run.outcome, run.bucket_address, run.model_id, _strict(run.metrics)),
        ),
    )
    return rows.rowcount == 1


def _insert_model(rows: cursor, model: ModelRow) -> str | None:
    rows.execute(
        "INSERT INTO models (machine_name, bucket_address, data_start_date, data_end_date, metrics, model_type) "
        "VALUES (%s, %s, %s, %s, %s, %s) RETURNING to_jsonb(models) ->> 'id'",
        (
            *(model.machine_name, model.bucket_address, model.data_start_date, model.data_end_date),
            *(_strict(model.metrics), model.model_type),
        ),
    )
    row = rows.fetchone()
    return None if row is None else row[0]


def _known(session: connection, key: RunKey) -> RecordedRun:
    run = _find(session, key.uid, key.run)
    if run is None:
        raise TrainingError("RegistryFailed", f"training_runs lost run {key.run} of {key.uid} in its own transaction.")
    return run


def _find(session: connection, uid: str, run: int) -> RecordedRun | None:
    with session.cursor() as rows:
        rows.execute(f"SELECT {_COLUMNS} FROM training_runs WHERE uid = %s AND run = %s", (uid, run))
        return _recorded(rows)


def _recorded(rows: cursor) -> RecordedRun | None:
    row = rows.fetchone()
    return None if row is None else RecordedRun(*row)


def _strict(metrics: Mapping[str, Any]) -> str:
    return json.dumps(metrics, allow_nan=False, ensure_ascii=False)
