"""Tests on a real node. The cluster, PostgreSQL and S3 are those of the test bed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cluster.bed import Bed
from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer
from support.pods import faults


@pytest.fixture(scope="session")
def cluster(bed: Bed) -> Cluster:
    """A cluster on whose node pods run."""
    return bed.cluster


@pytest.fixture(scope="session")
def postgres_server(bed: Bed) -> PostgresServer:
    """A PostgreSQL server that pods reach."""
    return bed.postgres_server


@pytest.fixture(scope="session")
def object_store(bed: Bed) -> ObjectStore:
    """An S3 server that pods reach."""
    return bed.object_store


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", "provokes(*expressions): lines of level ERROR that the test is about")


@pytest.fixture(autouse=True)
def _pods_are_well(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Iterator[None]:
    """Checks the pods of operator and trainer after each test."""
    since = datetime.now(UTC)
    yield
    marker = request.node.get_closest_marker("provokes")
    assert faults(cluster.client(), namespace, since, marker.args if marker else ()) == []
