"""PostgreSQL and S3 without a cluster, for machines that cannot run one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cluster.object_store import ObjectStore, object_store_running
from cluster.postgres import PostgresServer, postgres_running


@contextmanager
def servers_running() -> Iterator[tuple[PostgresServer, ObjectStore]]:
    """Runs both until the context ends."""
    with (
        TemporaryDirectory() as folder,
        postgres_running(Path(folder)) as postgres,
        object_store_running(Path(folder)) as store,
    ):
        yield postgres, store
