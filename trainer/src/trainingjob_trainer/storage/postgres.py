"""PostgreSQL: connections with retries, column types from the catalogue, and creation of the trainer's tables."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cache
from typing import Any, TypeVar

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.connection_refusal import is_transient_refusal, refusal_states
from trainingjob_trainer.storage.ledger_tables import LEDGER_TABLES
from trainingjob_trainer.storage.server_settings import describe_server, postgres_parameters

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 90.0
"""How long transient errors are retried within one attempt. After that, the Job starts the next attempt."""

STATEMENT_TIMEOUT_SECONDS = 1800
IDLE_TIMEOUT_SECONDS = 600
"""A registration's transaction is idle while the model is uploaded. If its node is lost, the lock on the run must not
stay for hours."""

_CONNECT_TIMEOUT_SECONDS = 10
_INIT_LOCK = 0x7472_6A62  # Any number that no other program uses for an advisory lock.

_TIMED_OUT = "timeout expired"
_READ_ONLY = "25006"
_LOCK_NOT_AVAILABLE = "55P03"
_TRANSIENT_STATES = ("08", "53", "57P", "40", _READ_ONLY, _LOCK_NOT_AVAILABLE)

Result = TypeVar("Result")


class _TransientError(Exception):
    """An error after which a retry may succeed."""


def with_connection(
    work: Callable[[connection], Result],
    *,
    reason: Reason,
    read_only: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """Run work in one transaction on a new connection; repeat all of it after a transient error.

    The server is the one that libpq's environment variables name (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD,
    PGSSLMODE, PGSSLROOTCERT). The log has the server and every failed try. Settings are local to the transaction:
    behind a connection pooler, another client may use the same server session for its next transaction.

    Args:
        work: Receives the connection. The transaction is committed when it returns. It may be called more than once,
            even after a successful commit whose response was lost, so it must be idempotent.
        reason: Reason of the TrainingError when PostgreSQL refuses, ``DataUnavailable`` or ``RegistryFailed``.
        read_only: Whether to use a read-only snapshot (repeatable read).
        patience_seconds: How long to retry.

    Raises:
        TrainingError: With ``reason``, transient when the server was not available in time; InvalidConfiguration when
            an environment variable is invalid.
    """
    parameters = postgres_parameters(os.environ)
    server = describe_server(parameters)
    _log_server(server)

    def log_failure(state: RetryCallState) -> None:
        wait = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        logger.warning("%s: try %d failed, next try in %.1f s: %s", server, state.attempt_number, wait, error)

    retrying = Retrying(
        retry=retry_if_exception_type(_TransientError),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(patience_seconds),
        before_sleep=log_failure,
        reraise=True,
    )
    try:
        result: Result = retrying(_try_once, work, parameters, reason, read_only)
    except _TransientError as error:
        tries, seconds = retrying.statistics["attempt_number"], retrying.statistics["delay_since_first_attempt"]
        raise TrainingError(
            reason,
            f"{server}: not available, gave up after {tries} tries in {seconds:.0f} s: {error}. Check that the server "
            "is up and that the database Secret has the right host and port.",
            transient=True,
        ) from error
    return result


@cache
def _log_server(server: str) -> None:
    """Log the server once per process, before the first connection, which may take long."""
    logger.info("using %s", server)


def _try_once(
    work: Callable[[connection], Result], parameters: Mapping[str, str], reason: Reason, read_only: bool
) -> Result:
    session = _connect(parameters, reason)
    with closing(session), _explain_errors(reason, session, read_only):
        if read_only:
            session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with session.cursor() as cursor:
            cursor.execute(
                "SET LOCAL statement_timeout = %s; SET LOCAL timezone = 'UTC'; "
                "SET LOCAL idle_in_transaction_session_timeout = %s",
                (f"{STATEMENT_TIMEOUT_SECONDS}s", f"{IDLE_TIMEOUT_SECONDS}s"),
            )
        result = work(session)
        session.commit()
        return result


def _connect(parameters: Mapping[str, str], reason: Reason) -> connection:
    options: dict[str, Any] = {
        **parameters,
        "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
        "application_name": "trainingjob-trainer",
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
    try:
        session: connection = psycopg2.connect("", **options)
        return session
    except psycopg2.Error as error:
        text = _one_line(error)
        states = () if _TIMED_OUT in text else refusal_states(options, _CONNECT_TIMEOUT_SECONDS)
    except UnicodeDecodeError:
        # Until a connection is established, a server uses its own encoding, but psycopg2 expects UTF-8.
        states = refusal_states(options, _CONNECT_TIMEOUT_SECONDS)
        text = f"the server refuses the connection (SQLSTATE {', '.join(states)}), in an encoding that is not UTF-8"
    if is_transient_refusal(text, states):
        raise _TransientError(text)
    raise TrainingError(reason, f"{describe_server(parameters)}: {text}. Check the database Secret.")


@contextmanager
def _explain_errors(reason: Reason, session: connection, read_only: bool) -> Iterator[None]:
    """Convert errors of PostgreSQL into a TrainingError with advice, or into a transient error."""
    try:
        yield
    except errors.QueryCanceled as error:
        message = f"PostgreSQL cancelled a statement (limit {STATEMENT_TIMEOUT_SECONDS} s): {_one_line(error)}"
        raise TrainingError(reason, message, transient=True) from error
    except errors.UndefinedTable as error:
        hint = "Run `trainingjob-trainer init-db` once as an owner of the database, or correct the name."
        raise TrainingError(reason, f"PostgreSQL: {_one_line(error)}. {hint}") from error
    except errors.ReadOnlySqlTransaction as error:
        if read_only:
            raise TrainingError(reason, f"PostgreSQL refused: {_one_line(error)}") from error
        raise _TransientError(
            f"{_one_line(error)}: the server or the database is read-only, like a standby or a server during a "
            "failover; the database Secret must have the host of the primary"
        ) from error
    except psycopg2.Error as error:
        # When a connection breaks during COPY, the error has no code, but the connection is closed afterwards.
        if is_transient(error) or session.closed:
            raise _TransientError(_one_line(error)) from error
        raise TrainingError(reason, f"PostgreSQL refused: {_one_line(error)}") from error


def is_transient(error: psycopg2.Error) -> bool:
    """Whether the same statement may succeed later without any change."""
    if error.pgcode:
        return error.pgcode.startswith(_TRANSIENT_STATES)
    return isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)


def _one_line(error: psycopg2.Error) -> str:
    return " ".join(str(error).split()).rstrip(".")


def table_identifier(table: str) -> sql.Identifier:
    """The quoted name of a table, with or without a schema."""
    return sql.Identifier(*table.split("."))


def column_types(session: connection, table: str) -> Mapping[str, str]:
    """The columns of a table and their types (``float8``, ``timestamptz``, ...), in the order of the table.

    A column whose type is a domain has the domain's base type.

    Raises:
        TrainingError: DataUnavailable when the table does not exist or the user has no access to it.
    """
    with session.cursor() as cursor:
        cursor.execute(
            _COLUMN_TYPES,
            (table_identifier(table).as_string(session),),
        )
        types = dict(cursor.fetchall())
    if not types:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"database {session.info.dbname} has no table {table} that user {session.info.user} can access. Names are "
            "case-sensitive; include the schema if it is not in the search_path.",
        )
    return types


def create_tables(session: connection) -> None:
    """Create the telemetry table, the registry and the ledger of fleets where missing; alter no existing table."""
    with session.cursor() as cursor:
        # Without the lock, two concurrent calls would both find a table missing.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_INIT_LOCK,))
        sensors = sql.SQL(", ").join(
            sql.SQL("{} double precision").format(sql.Identifier(name)) for name in TELEMETRY_COLUMNS
        )
        cursor.execute("SELECT to_regclass('processed_data') IS NULL")
        if cursor.fetchone() == (True,):
            cursor.execute(sql.SQL(_PROCESSED_DATA).format(sensors=sensors))
        cursor.execute(_MODELS)
        cursor.execute(_TRAINING_RUNS)
        cursor.execute(LEDGER_TABLES)


_COLUMN_TYPES = """
WITH RECURSIVE types AS (
    SELECT attname, attnum, atttypid AS type FROM pg_attribute
    WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped
    UNION ALL
    SELECT attname, attnum, typbasetype FROM types JOIN pg_type ON oid = type WHERE typtype = 'd'
)
SELECT attname, typname FROM types JOIN pg_type ON oid = type WHERE typtype <> 'd' ORDER BY attnum
"""

_PROCESSED_DATA = """
CREATE TABLE processed_data (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    "timestamp" timestamptz NOT NULL,
    motor_pump text NOT NULL,
    {sensors}
);
CREATE INDEX ON processed_data (motor_pump, "timestamp");
"""

_MODELS = """
CREATE TABLE IF NOT EXISTS models (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    machine_name text NOT NULL,
    bucket_address text NOT NULL,
    data_start_date timestamptz NOT NULL,
    data_end_date timestamptz NOT NULL,
    metrics jsonb NOT NULL,
    model_type text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
)
"""

_TRAINING_RUNS = """
CREATE TABLE IF NOT EXISTS training_runs (
    uid text NOT NULL,
    run integer NOT NULL,
    spec_hash text NOT NULL,
    recipe integer NOT NULL,
    fingerprint text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('registered', 'rejected', 'adopted')),
    bucket_address text NOT NULL,
    model_id text,
    metrics jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (uid, run)
);
CREATE INDEX IF NOT EXISTS training_runs_equal ON training_runs (spec_hash, fingerprint, recipe);
"""
