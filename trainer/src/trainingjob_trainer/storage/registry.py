"""The registry: table ``models`` for readers, and table ``training_runs``, which makes registration idempotent."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from psycopg2.extensions import connection, cursor

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import PATIENCE_SECONDS, with_connection
from trainingjob_trainer.storage.registry_refusal import explain_refusals
from trainingjob_trainer.storage.registry_rows import ModelRow, RecordedRun, RunKey

Also = Callable[[connection, RecordedRun], None]
"""Writes something else in the transaction that records a run; it receives the run as recorded. When it raises an
exception, nothing is recorded."""

_COLUMNS = "uid, run, outcome, bucket_address, model_id, metrics"


def record_nothing_else(session: connection, recorded: RecordedRun) -> None:
    """Write nothing besides the run."""


def try_registration(key: RunKey, model: ModelRow, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Register a model and roll back, to find out before the training whether the registration will succeed.

    It executes the same statements as ``save_model_metadata``, and checks every constraint, including deferred ones;
    then it rolls the transaction back. Values of sequences, and effects of triggers outside the transaction, remain.

    Args:
        key: Key of the run; its fingerprint may still be unknown.
        model: A row like the one that will be registered.
        patience_seconds: How long to retry.

    Raises:
        TrainingError: RegistryFailed; the message has the table, the column, constraint or right, and what to do.
    """

    def attempt(session: connection) -> None:
        _find_equal(session, key)
        _register(session, key, model)
        session.rollback()

    with_connection(attempt, reason=Reason.REGISTRY_FAILED, patience_seconds=patience_seconds)


def withdraw_unregistered(uid: str, run: int, addresses: Iterable[str], remove: Callable[[str], object]) -> None:
    """Remove models of a run that are not registered, and block registration of that run meanwhile.

    If another attempt of the run is being registered, this call waits for it.

    Args:
        uid: UID of the TrainingJob.
        run: Number of the run of the TrainingJob, from 1.
        addresses: Addresses of models that attempts of the run stored; registered ones are kept.
        remove: Removes the model at an address; it must be idempotent.

    Raises:
        TrainingError: RegistryFailed; any exception of ``remove`` is passed on.
    """
    key = RunKey(uid, run, spec_hash="", trainer_revision=0, fingerprint="")

    def remove_while_locked(session: connection) -> None:
        with session.cursor() as rows:
            # The uncommitted row blocks every other transaction that would record this run.
            if _record(session, key, RecordedRun(uid, run, "rejected", "", None, {})):
                for address in addresses:
                    rows.execute("SELECT EXISTS (SELECT FROM models WHERE bucket_address = %s)", (address,))
                    if rows.fetchone() == (False,):
                        remove(address)
        session.rollback()

    with_connection(remove_while_locked, reason=Reason.REGISTRY_FAILED)


def find_run(uid: str, run: int) -> RecordedRun | None:
    """Find this run, which an earlier attempt may have registered.

    Raises:
        TrainingError: RegistryFailed.
    """
    return with_connection(lambda session: _find(session, uid, run), reason=Reason.REGISTRY_FAILED, read_only=True)


def find_runs(uids: Iterable[str], run: int) -> list[RecordedRun]:
    """Find the runs of this number of several UIDs.

    Raises:
        TrainingError: RegistryFailed.
    """

    def find(session: connection) -> list[RecordedRun]:
        with session.cursor() as rows:
            rows.execute(f"SELECT {_COLUMNS} FROM training_runs WHERE uid = ANY(%s) AND run = %s", (list(uids), run))
            return [RecordedRun(*row) for row in rows.fetchall()]

    return with_connection(find, reason=Reason.REGISTRY_FAILED, read_only=True)


def find_equal_run(key: RunKey) -> RecordedRun | None:
    """Find the newest run with equal spec hash, trainer revision and fingerprint whose model is still registered.

    Raises:
        TrainingError: RegistryFailed.
    """
    return with_connection(lambda session: _find_equal(session, key), reason=Reason.REGISTRY_FAILED, read_only=True)


def has_equal_spec(key: RunKey) -> bool:
    """Whether a model of equal spec hash and trainer revision is registered, whatever it was trained on.

    Raises:
        TrainingError: RegistryFailed.
    """

    def find(session: connection) -> bool:
        with session.cursor() as rows:
            rows.execute(
                "SELECT EXISTS (SELECT FROM training_runs WHERE spec_hash = %s AND recipe = %s "
                "AND outcome = 'registered')",
                (key.spec_hash, key.trainer_revision),
            )
            return rows.fetchone() == (True,)

    return with_connection(find, reason=Reason.REGISTRY_FAILED, read_only=True)


def save_model_metadata(
    key: RunKey,
    model: ModelRow,
    before_commit: Callable[[], object] = lambda: None,
    also: Also = record_nothing_else,
) -> RecordedRun:
    """Register a model once per run: one row in ``models`` and one in ``training_runs``, in one transaction.

    Args:
        key: Key of the run.
        model: The row for readers.
        before_commit: Makes the model's files visible to readers. It is called after the rows are inserted and before
            they are committed; not when the run is already recorded. It may be called again after a transient error.
        also: What else to write in the transaction; it is called before ``before_commit``.

    Returns:
        The recorded run. If the run was already recorded, that record; nothing is written then.

    Raises:
        TrainingError: RegistryFailed. Any exception of the two functions is passed on. Nothing is registered then.
    """

    def write(session: connection) -> RecordedRun:
        is_new = _register(session, key, model)
        recorded = _recorded_run(session, key)
        also(session, recorded)
        if is_new:
            before_commit()
        return recorded

    return with_connection(write, reason=Reason.REGISTRY_FAILED)


def record_rejected(
    key: RunKey, bucket_address: str, metrics: Mapping[str, Any], also: Also = record_nothing_else
) -> RecordedRun:
    """Record that a model failed a gate; ``models`` is not changed. A run that is already recorded keeps its record.

    Raises:
        TrainingError: RegistryFailed.
    """
    return _record_only(key, RecordedRun(key.uid, key.run, "rejected", bucket_address, None, metrics), also)


def record_adopted(key: RunKey, equal: RecordedRun, also: Also = record_nothing_else) -> RecordedRun:
    """Record that a run adopted the model of an equal run; ``models`` is not changed.

    Raises:
        TrainingError: RegistryFailed.
    """
    return _record_only(key, replace(equal, uid=key.uid, run=key.run, outcome="adopted"), also)


def _record_only(key: RunKey, run: RecordedRun, also: Also) -> RecordedRun:
    def write(session: connection) -> RecordedRun:
        _record(session, key, run)
        recorded = _recorded_run(session, key)
        also(session, recorded)
        return recorded

    return with_connection(write, reason=Reason.REGISTRY_FAILED)


def _register(session: connection, key: RunKey, model: ModelRow) -> bool:
    """Insert the rows of a model and check deferred constraints; return False when the run is already recorded."""
    run = RecordedRun(key.uid, key.run, "registered", model.bucket_address, None, model.metrics)
    if not _record(session, key, run):
        return False
    model_id = _insert_model(session, model)
    with explain_refusals(session, "UPDATE", "training_runs", {"model_id": model_id}), session.cursor() as rows:
        rows.execute("UPDATE training_runs SET model_id = %s WHERE uid = %s AND run = %s", (model_id, key.uid, key.run))
    with explain_refusals(session, "INSERT", "models", {}), session.cursor() as rows:
        rows.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return True


def _record(session: connection, key: RunKey, run: RecordedRun) -> bool:
    """Insert the run; return False when its key exists. A concurrent insert of the same key waits for the first."""
    row = {
        "uid": key.uid,
        "run": key.run,
        "spec_hash": key.spec_hash,
        "recipe": key.trainer_revision,
        "fingerprint": key.fingerprint,
        "outcome": run.outcome,
        "bucket_address": run.bucket_address,
        "model_id": run.model_id,
        "metrics": _strict_json(run.metrics),
    }
    with explain_refusals(session, "INSERT", "training_runs", row), session.cursor() as rows:
        rows.execute(f"{_insert('training_runs', row)} ON CONFLICT (uid, run) DO NOTHING", row)
        return rows.rowcount == 1


def _insert_model(session: connection, model: ModelRow) -> str | None:
    row = vars(model) | {"metrics": _strict_json(model.metrics)}
    with explain_refusals(session, "INSERT", "models", row), session.cursor() as rows:
        # Return the id only if the table has one and this user may read it.
        rows.execute(
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('models') AND attname = 'id' "
            "AND NOT attisdropped AND has_column_privilege(attrelid, attnum, 'SELECT')"
        )
        with_id = rows.fetchone() == (1,)
        rows.execute(f"{_insert('models', row)}{' RETURNING id::text' if with_id else ''}", row)
        found = rows.fetchone() if with_id else None
    return None if found is None else found[0]


def _insert(table: str, row: Mapping[str, object]) -> str:
    values = ", ".join(f"%({name})s" for name in row)
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})"


def _recorded_run(session: connection, key: RunKey) -> RecordedRun:
    run = _find(session, key.uid, key.run)
    if run is None:
        raise TrainingError(
            Reason.REGISTRY_FAILED,
            f"table training_runs: run {key.run} of {key.uid} is missing right after its INSERT. Check the "
            "triggers and rules of the table.",
        )
    return run


def _find(session: connection, uid: str, run: int) -> RecordedRun | None:
    with session.cursor() as rows:
        rows.execute(f"SELECT {_COLUMNS} FROM training_runs WHERE uid = %s AND run = %s", (uid, run))
        return _fetch_run(rows)


def _find_equal(session: connection, key: RunKey) -> RecordedRun | None:
    with explain_refusals(session, "SELECT", "models", {}), session.cursor() as rows:
        rows.execute(
            f"SELECT {_COLUMNS} FROM training_runs WHERE spec_hash = %s AND fingerprint = %s AND recipe = %s "
            "AND outcome = 'registered' "
            "AND EXISTS (SELECT FROM models WHERE models.bucket_address = training_runs.bucket_address) "
            "ORDER BY recorded_at DESC, uid, run DESC LIMIT 1",
            (key.spec_hash, key.fingerprint, key.trainer_revision),
        )
        return _fetch_run(rows)


def _fetch_run(rows: cursor) -> RecordedRun | None:
    row = rows.fetchone()
    return None if row is None else RecordedRun(*row)


def _strict_json(metrics: Mapping[str, Any]) -> str:
    return json.dumps(metrics, allow_nan=False, ensure_ascii=False)
