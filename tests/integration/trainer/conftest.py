"""A connection to a real PostgreSQL server, for tests that look at what the trainer wrote there."""

import contextlib
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection

from cluster.postgres import Database


@pytest.fixture
def session(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[connection]:
    """A connection that sees at once what others commit; libpq's environment points at the same database."""
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(database.connect()) as session:
        session.autocommit = True
        yield session
