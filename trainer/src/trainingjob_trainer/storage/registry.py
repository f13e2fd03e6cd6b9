"""The registry: ``models``, which readers use, and ``training_runs``, which makes registration happen once."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from psycopg2.extensions import connection, cursor

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import PATIENCE_SECONDS, with_connection
from trainingjob_trainer.storage.registry_refusal import explained

Outcome = Literal["registered", "rejected", "adopted"]

_COLUMNS = "uid, run, outcome, bucket_address, model_id, metrics"


@dataclass(frozen=True)
class RunKey:
    """What makes a run this run, and what makes it equal to another.

    Attributes:
        uid: Of the TrainingJob; with ``run`` the key of the registry.
        run: Counts the runs of the TrainingJob.
        spec_hash: Equal for runs that train the same model on the same selection of data.
        trainer_revision: Number of the way that models are made; another number makes another kind of model.
        fingerprint: Of the telemetry.
    """

    uid: str
    run: int
    spec_hash: str
    trainer_revision: int
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


def try_registration(key: RunKey, model: ModelRow, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    """Register a model and take it back, so that what cannot be registered is not trained.

    Every statement is the one that ``save_model_metadata`` executes, and every constraint is checked, deferred ones
    too; the transaction is rolled back. What a trigger does outside the transaction stays done, and a sequence goes on.

    Args:
        key: Of the run; its fingerprint may be unknown yet.
        model: A row like the one that will be registered.
        patience_seconds: How long to go on trying.

    Raises:
        TrainingError: RegistryFailed, naming the table, the column, constraint or right, and what to do.
    """

    def attempt(session: connection) -> None:
        _find_equal(session, key)
        _register(session, key, model)
        session.rollback()

    with_connection(attempt, reason=Reason.REGISTRY_FAILED, patience_seconds=patience_seconds)


def withdraw_unregistered(uid: str, run: int, addresses: Iterable[str], remove: Callable[[str], object]) -> None:
    """Remove models that no reader is told of, while nobody can register the run that they are of.

    An attempt of the run that is just being registered is waited for.

    Args:
        uid: With ``run`` the key of the run.
        run: Counts the runs of the TrainingJob.
        addresses: Of models that attempts of the run left; those that the registry names stay.
        remove: Removes what lies at an address; may be called again for the same one.

    Raises:
        TrainingError: RegistryFailed; or what ``remove`` raises.
    """
    key = RunKey(uid, run, spec_hash="", trainer_revision=0, fingerprint="")

    def hold(session: connection) -> None:
        with session.cursor() as rows:
            if _record(session, key, RecordedRun(uid, run, "rejected", "", None, {})):
                for address in addresses:
                    rows.execute("SELECT EXISTS (SELECT FROM models WHERE bucket_address = %s)", (address,))
                    if rows.fetchone() == (False,):
                        remove(address)
        session.rollback()

    with_connection(hold, reason=Reason.REGISTRY_FAILED)


def find_run(uid: str, run: int) -> RecordedRun | None:
    """Look for this very run: an attempt before this one may have got as far as the registry.

    Raises:
        TrainingError: RegistryFailed.
    """
    return with_connection(lambda session: _find(session, uid, run), reason=Reason.REGISTRY_FAILED, read_only=True)


def find_equal_run(key: RunKey) -> RecordedRun | None:
    """Look for the newest registered model of equal spec hash, recipe and fingerprint that readers still find.

    Raises:
        TrainingError: RegistryFailed.
    """
    return with_connection(lambda session: _find_equal(session, key), reason=Reason.REGISTRY_FAILED, read_only=True)


def save_model_metadata(
    key: RunKey, model: ModelRow, before_commit: Callable[[], object] = lambda: None
) -> RecordedRun:
    """Register a model: one row in ``models``, one in ``training_runs``, together or not at all, once for each run.

    Args:
        key: Of the run.
        model: What readers shall find.
        before_commit: Makes the model readable; called when the rows are accepted and nobody sees them yet, and not
            at all when the run was recorded before. It may be called again after transient trouble.

    Returns:
        The run as recorded; when it was recorded before, that record, and nothing is written.

    Raises:
        TrainingError: RegistryFailed; or what ``before_commit`` raises, and nothing is registered then.
    """

    def write(session: connection) -> RecordedRun:
        if _register(session, key, model):
            before_commit()
        return _known(session, key)

    return with_connection(write, reason=Reason.REGISTRY_FAILED)


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
        _record(session, key, run)
        return _known(session, key)

    return with_connection(write, reason=Reason.REGISTRY_FAILED)


def _register(session: connection, key: RunKey, model: ModelRow) -> bool:
    """Insert the rows of a model and check what is deferred; False when the run was recorded before."""
    run = RecordedRun(key.uid, key.run, "registered", model.bucket_address, None, model.metrics)
    if not _record(session, key, run):
        return False
    model_id = _insert_model(session, model)
    with explained(session, "UPDATE", "training_runs", {"model_id": model_id}), session.cursor() as rows:
        rows.execute("UPDATE training_runs SET model_id = %s WHERE uid = %s AND run = %s", (model_id, key.uid, key.run))
    with explained(session, "INSERT", "models", {}), session.cursor() as rows:
        rows.execute("SET CONSTRAINTS ALL IMMEDIATE")
    return True


def _record(session: connection, key: RunKey, run: RecordedRun) -> bool:
    """Insert the run; False when its key is there. Of two at once the second waits for the first."""
    row = {
        "uid": key.uid,
        "run": key.run,
        "spec_hash": key.spec_hash,
        "recipe": key.trainer_revision,
        "fingerprint": key.fingerprint,
        "outcome": run.outcome,
        "bucket_address": run.bucket_address,
        "model_id": run.model_id,
        "metrics": _strict(run.metrics),
    }
    with explained(session, "INSERT", "training_runs", row), session.cursor() as rows:
        rows.execute(f"{_insert('training_runs', row)} ON CONFLICT (uid, run) DO NOTHING", row)
        return rows.rowcount == 1


def _insert_model(session: connection, model: ModelRow) -> str | None:
    row = vars(model) | {"metrics": _strict(model.metrics)}
    with explained(session, "INSERT", "models", row), session.cursor() as rows:
        # The id is told where there is one that we may see.
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


def _known(session: connection, key: RunKey) -> RecordedRun:
    run = _find(session, key.uid, key.run)
    if run is None:
        raise TrainingError(
            Reason.REGISTRY_FAILED, f"training_runs lost run {key.run} of {key.uid} in its own transaction."
        )
    return run


def _find(session: connection, uid: str, run: int) -> RecordedRun | None:
    with session.cursor() as rows:
        rows.execute(f"SELECT {_COLUMNS} FROM training_runs WHERE uid = %s AND run = %s", (uid, run))
        return _recorded(rows)


def _find_equal(session: connection, key: RunKey) -> RecordedRun | None:
    with explained(session, "SELECT", "models", {}), session.cursor() as rows:
        rows.execute(
            f"SELECT {_COLUMNS} FROM training_runs WHERE spec_hash = %s AND fingerprint = %s AND recipe = %s "
            "AND outcome = 'registered' "
            "AND EXISTS (SELECT FROM models WHERE models.bucket_address = training_runs.bucket_address) "
            "ORDER BY recorded_at DESC, uid, run DESC LIMIT 1",
            (key.spec_hash, key.fingerprint, key.trainer_revision),
        )
        return _recorded(rows)


def _recorded(rows: cursor) -> RecordedRun | None:
    row = rows.fetchone()
    return None if row is None else RecordedRun(*row)


def _strict(metrics: Mapping[str, Any]) -> str:
    return json.dumps(metrics, allow_nan=False, ensure_ascii=False)
