"""Tests on a real node. The cluster, PostgreSQL and S3 are those of the test bed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from cluster.bed import Bed
from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import Database, PostgresServer
from demo import trainer
from demo.deployment import deploy_operator
from support.pods import faults
from support.pumps import MACHINE, Pumps


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


@pytest.fixture
def pumps(bed: Bed, namespace: str, database: Database, bucket: str, object_store: ObjectStore) -> Pumps:
    """A namespace for TrainingJobs, which the operator's pod watches."""
    environment = database.environment() | object_store.environment()
    trainer.run(environment, "init-db")
    trainer.run(environment, "simulate", "--machine", MACHINE, "--rows", "4000")
    deploy_operator(bed.cluster, database, object_store, namespace)
    return Pumps(bed, namespace, database, bucket)


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
