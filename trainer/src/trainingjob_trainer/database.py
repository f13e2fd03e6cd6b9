"""PostgreSQL: connections that outlast transient trouble, the catalogue, and the tables that are ours to create."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TypeVar

import psycopg2
from psycopg2 import errors, sql
from psycopg2.extensions import ISOLATION_LEVEL_REPEATABLE_READ, connection
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from trainingjob_trainer.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.errors import TrainingError

PATIENCE_SECONDS = 90.0
"""How long transient trouble is retried within one attempt; the Job retries after that."""

STATEMENT_TIMEOUT_SECONDS = 1800
_CONNECT_TIMEOUT_SECONDS = 10
_INIT_LOCK = 0x7472_6A62  # Any number that no other program uses for an advisory lock.

# A connection that fails has no SQLSTATE in psycopg2, only libpq's text.
_SERVER_WILL_COME = re.compile(
    r"starting up|shutting down|in recovery mode|not yet accepting connections|too many clients|too many connections"
    r"|connection slots are|terminating connection|Consistent recovery state",
    re.IGNORECASE,
)
_WRONG_CONFIGURATION = re.compile(
    r"FATAL:|does not support SSL|SSL error: certificate|certificate verify failed|root certificate file"
    r"|server certificate|invalid sslmode|invalid port|invalid connection option|invalid integer|no password supplied"
    r"|password authentication failed",
    re.IGNORECASE,
)
_TRANSIENT_CLASSES = ("08", "53", "57P", "40")

Result = TypeVar("Result")


class _TransientError(Exception):
    """Trouble that may be over at the next try."""


def with_connection(
    work: Callable[[connection], Result],
    *,
    reason: str,
    read_only: bool = False,
    patience_seconds: float = PATIENCE_SECONDS,
) -> Result:
    """Run work in one transaction on a new connection, all of it again after transient trouble.

    The server is the one that libpq's environment variables name (PGHOST, PGPORT, PGDATABASE, PGUSER, PGPASSWORD,
    PGSSLMODE, PGSSLROOTCERT).

    Args:
        work: Gets the connection; what it does is committed when it returns. It may be called more than once, also
            when a commit was lost on its way back, so it must be safe to repeat.
        reason: Reason of the TrainingError when PostgreSQL refuses, ``DataUnavailable`` or ``RegistryFailed``.
        read_only: Whether one unchanging, read-only view of the data is wanted.
        patience_seconds: How long to go on trying.

    Raises:
        TrainingError: With ``reason``; transient when the server could not be reached in time.
    """
    retrying = Retrying(
        retry=retry_if_exception_type(_TransientError),
        wait=wait_random_exponential(multiplier=0.5, max=10),
        stop=stop_after_delay(patience_seconds),
        reraise=True,
    )
    try:
        result: Result = retrying(_try_once, work, reason, read_only)
    except _TransientError as error:
        raise TrainingError(
            reason,
            f"PostgreSQL could not be used for {patience_seconds:.0f} s, and it was tried again and again: {error}",
            transient=True,
        ) from error
    return result


def _try_once(work: Callable[[connection], Result], reason: str, read_only: bool) -> Result:
    with _told(reason):
        session = _connected()
    with closing(session), _told(reason, session):
        if read_only:
            session.set_session(isolation_level=ISOLATION_LEVEL_REPEATABLE_READ, readonly=True)
        with session.cursor() as cursor:
            cursor.execute("SET statement_timeout = %s; SET timezone = 'UTC'", (f"{STATEMENT_TIMEOUT_SECONDS}s",))
        result = work(session)
        session.commit()
        return result


def _connected() -> connection:
    return psycopg2.connect(
        "",
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        application_name="trainingjob-trainer",
        keepalives_idle=30,
        keepalives_interval=10,
        keepalives_count=3,
        tcp_user_timeout=60_000,
    )


@contextmanager
def _told(reason: str, session: connection | None = None) -> Iterator[None]:
    """Turn what PostgreSQL says into what the person who must act can use."""
    try:
        yield
    except errors.QueryCanceled as error:
        message = f"PostgreSQL ended a statement after {STATEMENT_TIMEOUT_SECONDS} s: {_one_line(error)}"
        raise TrainingError(reason, message, transient=True) from error
    except errors.UndefinedTable as error:
        hint = "Run `trainingjob-trainer init-db` once as an owner of the database, or correct the name."
        raise TrainingError(reason, f"PostgreSQL: {_one_line(error)}. {hint}") from error
    except psycopg2.Error as error:
        # A connection that breaks during COPY says nothing but is closed afterwards.
        if is_transient(error) or (session is not None and session.closed):
            raise _TransientError(_one_line(error)) from error
        raise TrainingError(reason, f"PostgreSQL refused: {_one_line(error)}") from error


def is_transient(error: psycopg2.Error) -> bool:
    """Whether the same connection or statement may succeed later without any change."""
    if error.pgcode:
        return error.pgcode.startswith(_TRANSIENT_CLASSES)
    if not isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError):
        return False
    text = str(error)
    return bool(_SERVER_WILL_COME.search(text)) or not _WRONG_CONFIGURATION.search(text)


def _one_line(error: psycopg2.Error) -> str:
    return " ".join(str(error).split())


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
            "DataUnavailable",
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
