"""Explains to the owner of the database why a registry table refuses a statement, and how to correct it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg2
from psycopg2.errorcodes import (
    CHECK_VIOLATION,
    FOREIGN_KEY_VIOLATION,
    INSUFFICIENT_PRIVILEGE,
    NOT_NULL_VIOLATION,
    QUERY_CANCELED,
    STRING_DATA_RIGHT_TRUNCATION,
    UNDEFINED_COLUMN,
    UNDEFINED_TABLE,
    UNIQUE_VIOLATION,
)
from psycopg2.extensions import connection

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.postgres import is_transient

_MISSING_SEQUENCES = """
SELECT sequence.oid::regclass::text
FROM pg_attrdef
JOIN pg_depend ON pg_depend.classid = 'pg_attrdef'::regclass AND pg_depend.objid = pg_attrdef.oid
JOIN pg_class AS sequence ON sequence.oid = pg_depend.refobjid AND pg_depend.refclassid = 'pg_class'::regclass
WHERE adrelid = to_regclass(%s)
AND CASE sequence.relkind WHEN 'S' THEN NOT has_sequence_privilege(sequence.oid, 'USAGE') ELSE false END
"""

_BOUNDED_COLUMNS = """
SELECT attname, atttypmod - 4 FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND atttypid IN ('varchar'::regtype, 'bpchar'::regtype) AND atttypmod > 0
"""


@dataclass(frozen=True)
class Refusal:
    """A statement that PostgreSQL refused.

    Attributes:
        database: Name of the database.
        user: The role that executes the statement.
        action: ``SELECT``, ``INSERT`` or ``UPDATE``.
        table: The table, as the statement names it.
        columns: The columns that the statement fills.
        state: The SQLSTATE.
        server_message: The server's message.
        column: The column that the server names, if any.
        constraint: The constraint that the server names, if any.
        detail: The server's further details, if any.
        sequences: Sequences of the table's columns that the user may not use.
        short: Columns that are too short for the value: name, their length, the value's length.
    """

    database: str
    user: str
    action: str
    table: str
    columns: tuple[str, ...]
    state: str
    server_message: str
    column: str | None = None
    constraint: str | None = None
    detail: str | None = None
    sequences: tuple[str, ...] = ()
    short: tuple[tuple[str, int, int], ...] = field(default=())


def refusal_message(refusal: Refusal) -> str:
    """Say which statement was refused, why, and what the owner of the database can do."""
    what = f"database {refusal.database}, table {refusal.table}: {refusal.action} by user {refusal.user} is refused"
    advice = _ADVICE.get(refusal.state, _correct_the_table)
    return f"{what}: {refusal.server_message}. {advice(refusal)}"


def _grant(refusal: Refusal) -> str:
    if refusal.sequences:
        return f"Run GRANT USAGE ON SEQUENCE {', '.join(refusal.sequences)} TO {refusal.user}."
    if refusal.table != "models":
        rights = "SELECT, INSERT, UPDATE"
    elif refusal.columns:
        rights = f"INSERT ({', '.join(refusal.columns)})"
    else:
        rights = "SELECT (bucket_address)"
    return f"Run GRANT {rights} ON {refusal.table} TO {refusal.user}."


def _fill_the_column(refusal: Refusal) -> str:
    return (
        f"Column {refusal.column} is NOT NULL and has no default, and the trainer does not fill it; it fills "
        f"{', '.join(refusal.columns)}. Give the column a default, or allow NULL."
    )


def _loosen(refusal: Refusal) -> str:
    return f"Change or drop constraint {refusal.constraint}, or add the data that it requires."


def _allow_more_rows(refusal: Refusal) -> str:
    return (
        f"{refusal.detail} Every training adds a row. Drop constraint {refusal.constraint}, or remove the existing row."
    )


def _lengthen(refusal: Refusal) -> str:
    if not refusal.short:
        return _correct_the_table(refusal)
    columns = [f"{name} holds {length} characters but {needed} are needed" for name, length, needed in refusal.short]
    commands = [f"ALTER TABLE {refusal.table} ALTER COLUMN {name} TYPE text" for name, _, _ in refusal.short]
    return f"Column {', column '.join(columns)}. Run {'; '.join(commands)}."


def _create(refusal: Refusal) -> str:
    return "Run `trainingjob-trainer init-db` once as an owner of the database, or set the search_path of the user."


def _correct_the_table(refusal: Refusal) -> str:
    return f"The trainer fills these columns: {', '.join(refusal.columns)}. Correct the table."


_ADVICE: Mapping[str, Callable[[Refusal], str]] = {
    INSUFFICIENT_PRIVILEGE: _grant,
    NOT_NULL_VIOLATION: _fill_the_column,
    CHECK_VIOLATION: _loosen,
    FOREIGN_KEY_VIOLATION: _loosen,
    UNIQUE_VIOLATION: _allow_more_rows,
    STRING_DATA_RIGHT_TRUNCATION: _lengthen,
    UNDEFINED_COLUMN: _correct_the_table,
    UNDEFINED_TABLE: _create,
}


@contextmanager
def explain_refusals(session: connection, action: str, table: str, row: Mapping[str, object]) -> Iterator[None]:
    """Convert a refusal of a statement in the context into a TrainingError; transient errors are passed on.

    Args:
        session: An open connection; its transaction is rolled back when a statement is refused.
        action: ``SELECT``, ``INSERT`` or ``UPDATE``.
        table: The table.
        row: The written value of each column; empty for SELECT.

    Raises:
        TrainingError: RegistryFailed.
    """
    try:
        yield
    except psycopg2.Error as error:
        if is_transient(error) or error.pgcode in (None, QUERY_CANCELED):
            raise
        session.rollback()
        refusal = Refusal(
            database=session.info.dbname,
            user=session.info.user,
            action=action,
            table=error.diag.table_name or table,
            columns=tuple(row),
            state=error.pgcode or "",
            server_message=error.diag.message_primary or "the server gives no reason",
            column=error.diag.column_name,
            constraint=error.diag.constraint_name,
            detail=error.diag.message_detail,
            sequences=_missing_sequences(session, table) if error.pgcode == INSUFFICIENT_PRIVILEGE else (),
            short=_short_columns(session, table, row) if error.pgcode == STRING_DATA_RIGHT_TRUNCATION else (),
        )
        raise TrainingError(Reason.REGISTRY_FAILED, refusal_message(refusal)) from error


def _missing_sequences(session: connection, table: str) -> tuple[str, ...]:
    with session.cursor() as rows:
        rows.execute(_MISSING_SEQUENCES, (table,))
        return tuple(name for (name,) in rows.fetchall())


def _short_columns(session: connection, table: str, row: Mapping[str, object]) -> tuple[tuple[str, int, int], ...]:
    with session.cursor() as rows:
        rows.execute(_BOUNDED_COLUMNS, (table,))
        lengths = {name: length for name, length in rows.fetchall() if isinstance(row.get(name), str)}
    needed = {name: len(str(row[name])) for name in lengths}
    return tuple((name, length, needed[name]) for name, length in lengths.items() if needed[name] > length)
