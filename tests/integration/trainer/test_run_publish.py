"""Publishing to a real S3 server: unique timestamps, and objects whose content is verified."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest

from cluster.object_store import ObjectStore as Server
from integration.trainer.proxy import store_behind_proxy
from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import expose, publish, reserve, verify, withdraw

NOON = datetime(2025, 8, 31, 12, 0, 0, tzinfo=UTC)
PLACE = ArtifactPaths("xgb", "PUMP-1", NOON)
FILES = [ModelFile("model", ".pkl", b"pickled"), ModelFile("model-ubj", ".ubj", b"twin")]


@pytest.fixture
def store(object_store: Server, bucket: str) -> ObjectStore:
    return ObjectStore.from_environment(object_store.environment(), bucket, patience_seconds=5)


def test_an_occupied_timestamp_is_increased_by_one_second(store: ObjectStore) -> None:
    assert reserve(store, PLACE, "run-a.json", b"{}") == PLACE
    assert reserve(store, PLACE, "run-b.json", b"{}").timestamp == NOON + timedelta(seconds=1)
    store.put(ArtifactPaths("xgb", "PUMP-1", NOON + timedelta(seconds=2)).address, b"by an older program")
    assert reserve(store, PLACE, "run-c.json", b"{}").timestamp == NOON + timedelta(seconds=3)
    assert reserve(store, ArtifactPaths("xgb", "PUMP-2", NOON), "run-d.json", b"{}").timestamp == NOON


def test_concurrent_publishers_never_share_a_timestamp(store: ObjectStore) -> None:
    publishers = 8
    start = Barrier(publishers)

    def take(name: str) -> datetime:
        start.wait()
        return reserve(store, PLACE, name, b"{}").timestamp

    with ThreadPoolExecutor(publishers) as threads:
        taken = list(threads.map(take, [f"publisher-{number}" for number in range(publishers)]))
    assert len(set(taken)) == publishers
    assert len(store.list("runs/PUMP-1/")) == publishers


def test_a_publication_is_verified_against_its_manifest(store: ObjectStore) -> None:
    advances: list[int] = []
    publication = publish(store, PLACE, FILES, {"run": {}}, lambda: advances.append(1))
    assert [artifact.name for artifact in publication.artifacts] == ["model-ubj", "model", "manifest"]
    assert len(advances) == 2
    assert store.list("xgb_model_") == []
    expose(store, publication)
    assert verify(store, PLACE.manifest_key) == publication.artifacts


def test_a_withdrawn_model_is_removed_from_the_top_and_kept_under_runs(store: ObjectStore) -> None:
    expose(store, publish(store, PLACE, FILES, {}, lambda: None))
    withdraw(store, PLACE)
    assert {entry.key for entry in store.list("")} == {PLACE.manifest_key, f"{PLACE.folder}model.ubj"}


@pytest.mark.parametrize("change", ["removed", "changed", "no manifest", "manifest broken"])
def test_an_incomplete_publication_is_reported(store: ObjectStore, change: str) -> None:
    expose(store, publish(store, PLACE, FILES, {}, lambda: None))
    key = PLACE.manifest_key if "manifest" in change else PLACE.address
    if change in ("removed", "no manifest"):
        store.delete(key)
    else:
        store.put(key, b"pickleD")
    fault = verify(store, PLACE.manifest_key)
    assert isinstance(fault, str)
    assert key in fault


def test_an_object_that_differs_when_read_back_is_not_published(object_store: Server, bucket: str) -> None:
    with store_behind_proxy(object_store) as (proxy, behind):
        proxy.altered = (b"twin", b"tw1n")
        changed = ObjectStore.from_environment(behind.environment(), bucket, patience_seconds=5)
        with pytest.raises(TrainingError, match=r"model\.ubj: the content .* differs .* at the second try") as failure:
            publish(changed, PLACE, FILES, {}, lambda: None)
    assert failure.value.transient
    assert [entry.object_name for entry in object_store.client().list_objects(bucket, "xgb_model")] == []
