"""Tests on a real node: their cluster, PostgreSQL and S3 are those of the test bed, which its pods reach."""

import pytest

from cluster.bed import Bed
from cluster.clusters import Cluster
from cluster.object_store import ObjectStore
from cluster.postgres import PostgresServer


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
