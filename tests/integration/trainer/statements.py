"""SQL statements of tests."""

from typing import Any

from psycopg2.extensions import connection


def select(session: connection, query: str) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with session.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def execute(session: connection, statement: str) -> None:
    """Executes a command."""
    with session.cursor() as cursor:
        cursor.execute(statement)
