"""Real servers as the tests of the trainer use them."""

import contextlib
from collections.abc import Iterator

import pytest
from psycopg2.extensions import connection

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from integration.trainer.fleets import Fleet
from integration.trainer.installation import Installation


@pytest.fixture
def session(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[connection]:
    """A connection with autocommit; libpq's environment variables name the same database."""
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    with contextlib.closing(database.connect()) as session:
        session.autocommit = True
        yield session


@pytest.fixture
def installation(
    database: Database, object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Installation:
    """Database with telemetry and bucket, which this process finds by its environment."""
    return Installation.create(database, object_store, bucket, monkeypatch)


@pytest.fixture
def fleet(
    database: Database, object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Fleet]:
    """A run of a fleet on servers that this process finds by its environment."""
    for name, value in (database.environment() | object_store.environment()).items():
        monkeypatch.setenv(name, value)
    with Fleet.created(database, object_store, bucket) as fleet:
        yield fleet
