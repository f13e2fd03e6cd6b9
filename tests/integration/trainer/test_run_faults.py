"""Runs while servers fail: the error, the remaining objects and rows, and the success of a later attempt."""

import contextlib
import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cluster.object_store import object_store_running
from cluster.postgres import Database
from cluster.processes import free_ports
from integration.trainer.installation import MACHINE, OTHER_UID, UID, Installation, small_spec
from integration.trainer.proxy import proxy_to, store_behind_proxy
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.progress import Stage
from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.progress import Progress
from trainingjob_trainer.storage.artifact_paths import TIMESTAMP, ArtifactPaths, claim_of
from trainingjob_trainer.storage.object_store import ObjectStore as Bucket
from trainingjob_trainer.storage.publisher import expose, publish, reserve
from trainingjob_trainer.storage.withdrawal import withdraw_unregistered


def once(stage: Stage, act: Callable[[], object], advances: int = 0) -> Callable[[Progress], None]:
    """A listener that acts once, when a stage begins or after so many further heartbeats."""
    heard = iter(range(1_000_000))

    def listen(progress: Progress) -> None:
        if progress.stage is stage and next(heard) == advances:
            act()

    return listen


def models(installation: Installation) -> list[str]:
    return [address for (address,) in installation.rows("SELECT bucket_address FROM models ORDER BY id")]


def test_wrong_store_credentials_end_the_run_before_anything_is_loaded(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("S3_SECRET_KEY", "wrong-and-long-enough")
    seen: list[Progress] = []
    run = installation.training_run(small_spec("xgb", installation.bucket))
    result = installation.launch(run, [seen.append])
    assert (result.reason, result.exit_code) == ("ArtifactStoreFailed", ExitCode.ARTIFACT_STORE)
    assert "accessKey and secretKey" in result.message
    assert seen[-1].stage is Stage.STARTING


def test_a_missing_bucket_ends_the_run_before_anything_is_loaded(installation: Installation) -> None:
    result = installation.launch(installation.training_run(small_spec("xgb", "nobody-made-this")))
    assert (result.reason, result.exit_code) == ("ArtifactStoreFailed", ExitCode.ARTIFACT_STORE)
    assert "init-db --bucket nobody-made-this" in result.message


def top_of_bucket(installation: Installation) -> set[str]:
    """The keys that readers could take for models."""
    return {key for key in installation.objects() if "/" not in key}


@pytest.mark.parametrize(
    "command",
    [
        "DROP TABLE models",
        "REVOKE INSERT ON models FROM CURRENT_USER",
        "ALTER TABLE models ALTER bucket_address TYPE varchar(8)",
    ],
)
def test_a_registry_that_cannot_be_written_ends_the_run_before_anything_is_loaded(
    installation: Installation, command: str
) -> None:
    installation.rows(command)
    seen: list[Progress] = []
    result = installation.launch(installation.training_run(small_spec("xgb", installation.bucket)), [seen.append])
    assert (result.reason, result.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
    assert "table models" in result.message
    assert seen[-1].stage is Stage.STARTING


def test_a_store_that_is_down_fails_as_transient(installation: Installation) -> None:
    (port,) = free_ports(1)
    nobody = dataclasses.replace(installation.object_store, endpoint=f"127.0.0.1:{port}")
    lost = dataclasses.replace(installation, object_store=nobody)
    with pytest.raises(TrainingError) as failure:
        lost.execute(lost.training_run(small_spec("xgb", installation.bucket)), patience_seconds=0.5)
    assert (failure.value.reason, failure.value.transient) == ("ArtifactStoreFailed", True)


@pytest.mark.parametrize("advances", [0, 1, 4])
def test_a_store_failure_while_publishing_leaves_no_visible_model(installation: Installation, advances: int) -> None:
    def lose() -> None:
        installation.object_store.drop_bucket(installation.bucket)

    run = installation.training_run(small_spec("xgb", installation.bucket))
    with pytest.raises(TrainingError) as failure:
        installation.execute(run, 0.5, [once(Stage.PUBLISHING, lose, advances)])
    assert failure.value.exit_code is ExitCode.ARTIFACT_STORE
    assert models(installation) == []
    assert installation.rows("SELECT * FROM training_runs") == []
    installation.object_store.create_bucket(installation.bucket)
    result = installation.launch(installation.training_run(run.spec, attempt=2))
    assert result.reason == "Completed"
    assert len(models(installation)) == 1


def test_a_full_disk_of_the_store_is_transient(
    small_disk: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    filler = small_disk / "filler"

    def fill() -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    with object_store_running(small_disk) as store:
        store.create_bucket("models")
        installation = Installation.create(database, store, "models", monkeypatch)
        run = installation.training_run(small_spec("xgb", "models"))
        with pytest.raises(TrainingError) as failure:
            installation.execute(run, 2, [once(Stage.PUBLISHING, fill)])
        assert (failure.value.reason, failure.value.transient) == ("ArtifactStoreFailed", True)
        assert models(installation) == []
        filler.unlink()
        result = installation.launch(installation.training_run(run.spec, attempt=2))
        assert result.reason == "Completed"
        assert len(models(installation)) == 1


def test_a_refused_registration_leaves_no_row_and_is_repeated_once(installation: Installation) -> None:
    run = installation.training_run(small_spec("xgb", installation.bucket))
    rename = once(Stage.REGISTERING, lambda: installation.rows("ALTER TABLE models RENAME TO models_elsewhere"))
    result = installation.launch(run, [rename])
    assert (result.reason, result.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
    assert installation.rows("SELECT * FROM training_runs") == []
    installation.rows("ALTER TABLE models_elsewhere RENAME TO models")
    result = installation.launch(installation.training_run(run.spec, attempt=2))
    assert result.reason == "Completed"
    assert len(models(installation)) == 1
    assert installation.rows("SELECT uid, run, outcome FROM training_runs") == [(UID, 1, "registered")]


def test_a_unique_constraint_on_the_period_ends_the_run_before_training(
    installation: Installation,
) -> None:
    run = installation.training_run(small_spec("xgb", installation.bucket), adopt=False)
    assert installation.launch(run).reason == "Completed"
    installation.rows("ALTER TABLE models ADD UNIQUE (machine_name, data_start_date, data_end_date)")
    seen: list[Progress] = []
    again = installation.training_run(run.spec, adopt=False, run=2)
    result = installation.launch(again, [seen.append])
    assert (result.reason, result.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
    assert "(machine_name, data_start_date, data_end_date)=(ITU-415, 2025-01-01" in result.message
    assert seen[-1].stage is Stage.PREPARING


@pytest.mark.parametrize(("model_type", "attempts"), [("xgb", 4), ("gru", 1)])
def test_attempts_that_cannot_register_leave_no_visible_model(
    installation: Installation, model_type: str, attempts: int
) -> None:
    spec = small_spec(model_type, installation.bucket)
    installation.rows(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'refused'; END$$"
    )
    refuse = "CREATE TRIGGER refuse BEFORE INSERT ON models FOR EACH ROW EXECUTE FUNCTION refuse()"
    for attempt in range(1, attempts + 1):
        installation.rows("DROP TRIGGER IF EXISTS refuse ON models")
        listener = once(Stage.REGISTERING, lambda: installation.rows(refuse))
        result = installation.launch(installation.training_run(spec, attempt=attempt), [listener])
        assert (result.reason, result.exit_code) == ("RegistryFailed", ExitCode.REGISTRY)
        assert top_of_bucket(installation) == set()
    installation.rows("DROP TRIGGER refuse ON models")
    result = installation.launch(installation.training_run(spec, attempt=attempts + 1))
    assert result.reason == "Completed"
    assert set(models(installation)) <= top_of_bucket(installation)


def test_a_partly_uploaded_model_is_withdrawn(installation: Installation) -> None:
    with store_behind_proxy(installation.object_store) as (proxy, behind):
        lost = dataclasses.replace(installation, object_store=behind)

        # Only the pickle contains the name of the class.
        proxy.altered = (b"xgboost.sklearn", b"xgboost.changed")
        run = installation.training_run(small_spec("xgb", installation.bucket))
        with pytest.raises(TrainingError, match="content read back differs from the stored content") as failure:
            lost.execute(run, 5)
    assert failure.value.reason == "ArtifactStoreFailed"
    assert top_of_bucket(installation) == set()
    assert models(installation) == []
    assert installation.rows("SELECT * FROM training_runs") == []


def test_files_of_an_attempt_killed_before_its_commit_are_removed(
    installation: Installation,
) -> None:
    spec = small_spec("xgb", installation.bucket)
    store = Bucket.from_environment(installation.object_store.environment(), installation.bucket)

    def publish_of(uid: str, attempt: int) -> str:
        paths = reserve(store, ArtifactPaths("xgb", MACHINE, datetime.now(UTC)), claim_of(uid, 1, attempt), b"{}")
        expose(store, publish(store, paths, [ModelFile("model", ".pkl", b"killed")], {}, lambda: None))
        return paths.address

    left, of_another = publish_of(UID, 1), publish_of(OTHER_UID, 1)
    result = installation.launch(installation.training_run(spec, attempt=2))
    assert result.reason == "Completed"
    assert left not in installation.objects()
    assert top_of_bucket(installation) == {of_another, *models(installation)}


def test_a_model_that_the_registry_names_is_never_removed(installation: Installation) -> None:
    spec = small_spec("xgb", installation.bucket)
    assert installation.launch(installation.training_run(spec, OTHER_UID)).reason == "Completed"
    (registered,) = models(installation)
    store = Bucket.from_environment(installation.object_store.environment(), installation.bucket)
    run = installation.training_run(spec, adopt=False)
    paths = ArtifactPaths("xgb", MACHINE, datetime.strptime(registered[-23:-4], TIMESTAMP).replace(tzinfo=UTC))
    withdraw_unregistered(run, store, [paths])
    assert registered in installation.objects()


def test_a_short_database_failure_at_registration_is_retried(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_to(installation.database.host, installation.database.port) as proxy:
        monkeypatch.setenv("PGPORT", str(proxy.port))
        lose = once(Stage.REGISTERING, lambda: proxy.cut_next(3))
        result = installation.launch(installation.training_run(small_spec("xgb", installation.bucket)), [lose])
    assert proxy.cuts == 3
    assert result.reason == "Completed"
    assert len(models(installation)) == 1


def test_a_commit_whose_answer_is_lost_registers_once(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_to(installation.database.host, installation.database.port) as proxy:
        monkeypatch.setenv("PGPORT", str(proxy.port))
        lose = once(Stage.REGISTERING, lambda: proxy.cut_next(1, after=b"COMMIT"))
        result = installation.launch(installation.training_run(small_spec("xgb", installation.bucket)), [lose])
    assert proxy.cuts == 1
    assert result.reason == "Completed"
    assert len(models(installation)) == 1
