"""A connection to a database that has the tables."""

import pytest
from psycopg2.extensions import connection

from trainingjob_trainer.storage.postgres import create_tables


@pytest.fixture
def session(session: connection) -> connection:
    """A connection as the owner of the tables, which are empty."""
    create_tables(session)
    return session
