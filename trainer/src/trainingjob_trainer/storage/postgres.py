"""PostgreSQL: connections that outlast transient trouble, the catalogue, and the tables that are ours to create."""

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
from trainingjob_trainer.storage.connection_refusal import may_pass, refusing_states
from trainingjob_trainer.storage.server_settings import postgres_parameters, postgres_place

logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 90.0
"""How long transient trouble is retried within one attempt; the Job retries after that."""

STATEMENT_TIMEOUT_SECONDS = 1800
IDLE_TIMEOUT_SECONDS = 600
"""A registration is idle while the store takes the model; of a lost node it must not hold the run for hours."""

_CONNECT_TIMEOUT_SECONDS = 10
_INIT_LOCK = 0x7472_6A62  # Any number that no other program uses for an advisory lock.

_NO_ANSWER = "timeout expired"
_READ_ONLY = "25006"
_LOCK_NOT_AVAILABLE = "55P03"
_TRANSIENT_STATES = ("08", "53", "57P", "40", _READ_ONLY, _LOCK_NOT_AVAILABLE)

Result = TypeVar("Result")


class _TransientError(Exception):
    """Trouble that may be over at the next try."""


def with_connection(
    work: Callable[[connection], Result],
    *,
    reason: Reason,
    read_only: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """Run work in one transaction on a new connection, all of it again after transient trouble.

    The server is the one that libpq's environment variables name (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD,
    PGSSLMODE, PGSSLROOTCERT). The log says which that is, and tells every try that fails. Settings are made for the
    transaction alone: through a pooler, the next transaction of the server's session may be somebody else's.

    Args:
        work: Gets the connection; what it does is committed when it returns. It may be called more than once, also
            when a commit was lost on its way back, so it must be safe to repeat.
        reason: Reason of the TrainingError when PostgreSQL refuses, ``DataUnavailable`` or ``RegistryFailed``.
        read_only: Whether one unchanging, read-only view of the data is wanted.
        patience_seconds: How long to go on trying.

    Raises:
        TrainingError: With ``reason``, transient when the server could not be used in time; InvalidConfiguration when
            the environment cannot be right.
    """
    parameters = postgres_parameters(os.environ)
    place = postgres_place(parameters)
    _announce(place)

    def tell(state: RetryCallState) -> None:
        wait = state.next_action.sleep if state.next_action else 0.0
        error = state.outcome.exception() if state.outcome else None
        logger.warning("%s: try %d failed, the next in %.1f s: %s", place, state.attempt_number, wait, error)

    retrying = Retrying(
        retry=retry_if_exception_type(_TransientError),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(patience_seconds),
        before_sleep=tell,
        reraise=True,
    )
    try:
        result: Result = retrying(_try_once, work, parameters, reason, read_only)
    except _TransientError as error:
        tries, seconds = retrying.statistics["attempt_number"], retrying.statistics["delay_since_first_attempt"]
        raise TrainingError(
            reason,
            f"{place}: could not be used, given up at try {tries} after {seconds:.0f} s: {error}. Check that the "
            "server is up and that the database's Secret names it.",
            transient=True,
        ) from error
    return result


@cache
def _announce(place: str) -> None:
    """Say once in a process what is going to be used: the first answer may take long."""
    logger.info("using %s", place)


def _try_once(
    work: Callable[[connection], Result], parameters: Mapping[str, str], reason: Reason, read_only: bool
) -> Result:
    session = _connected(parameters, reason)
    with closing(session), _told(reason, session, read_only):
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


def _connected(parameters: Mapping[str, str], reason: Reason) -> connection:
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
        states = () if _NO_ANSWER in text else refusing_states(options, _CONNECT_TIMEOUT_SECONDS)
    except UnicodeDecodeError:
        # Before a connection is made, a server speaks in its own encoding, and psycopg2 expects UTF-8.
        states = refusing_states(options, _CONNECT_TIMEOUT_SECONDS)
        text = f"the server refuses the connection (SQLSTATE {', '.join(states)}), in an encoding that is not UTF-8"
    if may_pass(text, states):
        raise _TransientError(text)
    raise TrainingError(reason, f"{postgres_place(parameters)}: {text}. Check the database's Secret.")


@contextmanager
def _told(reason: Reason, session: connection, read_only: bool) -> Iterator[None]:
    """Turn what PostgreSQL says into what the person who must act can use."""
    try:
        yield
    except errors.QueryCanceled as error:
        message = f"PostgreSQL ended a statement, which may take {STATEMENT_TIMEOUT_SECONDS} s: {_one_line(error)}"
        raise TrainingError(reason, message, transient=True) from error
    except errors.UndefinedTable as error:
        hint = "Run `trainingjob-trainer init-db` once as an owner of the database, or correct the name."
        raise TrainingError(reason, f"PostgreSQL: {_one_line(error)}. {hint}") from error
    except errors.ReadOnlySqlTransaction as error:
        if read_only:
            raise TrainingError(reason, f"PostgreSQL refused: {_one_line(error)}") from error
        raise _TransientError(
            f"{_one_line(error)}: the server or the database is read-only, as a standby is, or a server during a "
            "failover; the database's Secret must name the primary"
        ) from error
    except psycopg2.Error as error:
        # A connection that breaks during COPY says nothing but is closed afterwards.
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
    """The name of a table, schema-qualified or not, quoted as it stands."""
    return sql.Identifier(*table.split("."))


def column_types(session: connection, table: str) -> Mapping[str, str]:
    """The columns of a table and their types (``float8``, ``timestamptz``, ...), in the order of the table.

    A column of a domain has the type that the domain is made of.

    Raises:
        TrainingError: DataUnavailable when there is no such table, or it may not be seen.
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
            f"database {session.info.dbname} has no table {table} that user {session.info.user} may see. Upper and "
            "lower case count; name the schema if it is not the usual one.",
        )
    return types


def create_tables(session: connection) -> None:
    """Create the tables that are missing: ``processed_data``, ``models``, ``training_runs``. None is ever altered."""
    with session.cursor() as cursor:
        # Two at once would both see that a table is missing.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_INIT_LOCK,))
        sensors = sql.SQL(", ").join(
            sql.SQL("{} double precision").format(sql.Identifier(name)) for name in TELEMETRY_COLUMNS
        )
        cursor.execute("SELECT to_regclass('processed_data') IS NULL")
        if cursor.fetchone() == (True,):
            cursor.execute(sql.SQL(_PROCESSED_DATA).format(sensors=sensors))
        cursor.execute(_MODELS)
        cursor.execute(_TRAINING_RUNS)


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
