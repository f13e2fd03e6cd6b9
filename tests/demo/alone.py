"""PostgreSQL and S3 without a cluster, for machines that cannot have one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.object_store import object_store_running
from cluster.postgres import postgres_running


@contextmanager
def servers_running() -> Iterator[Mapping[str, str]]:
    """Runs both until the context ends; yields the environment that tells the trainer where they are."""
    with (
        TemporaryDirectory() as folder,
        postgres_running(Path(folder)) as postgres,
        object_store_running(Path(folder)) as store,
    ):
        yield postgres.create_database("pumps").environment() | store.environment()
