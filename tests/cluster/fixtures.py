"""pytest fixtures over the test bed: servers live as long as the test session, what a test puts in them as the test."""

import secrets
from collections.abc import Iterator

import pytest

from cluster.object_store import ObjectStore, object_store_running
from cluster.postgres import Database, PostgresServer, postgres_running


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A PostgreSQL server on loopback."""
    with postgres_running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A new, empty database."""
    dbname = f"test_{secrets.token_hex(4)}"
    yield postgres_server.create_database(dbname)
    postgres_server.drop_database(dbname)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """An S3 server on loopback."""
    with object_store_running(tmp_path_factory.mktemp("objects")) as store:
        yield store


@pytest.fixture
def bucket(object_store: ObjectStore) -> Iterator[str]:
    """The name of a new, empty bucket."""
    name = f"test-{secrets.token_hex(4)}"
    object_store.create_bucket(name)
    yield name
    object_store.drop_bucket(name)
