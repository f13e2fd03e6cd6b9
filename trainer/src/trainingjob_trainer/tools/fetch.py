"""Downloads a registered model with its scaler, safe copies and a model card, for services and people.

No library that trains or predicts is imported.
"""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.artifact_paths import Artifact, ArtifactPaths, files_of, newest_paths
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.object_store_errors import UnverifiedError
from trainingjob_trainer.storage.registered_rows import RunReference, registered_rows
from trainingjob_trainer.storage.registry_rows import ModelRow

MODEL_CARD = "model-card.json"


def fetch_model(
    machine: str,
    model_type: str,
    output: Path | None = None,
    *,
    run: RunReference | None = None,
    bucket: str = "models",
) -> Path:
    """Download the newest registered model of a machine and type, and verify each file by the manifest's SHA-256.

    The servers are those of the environment variables that ``trainingjob-trainer --help`` lists. The folder appears
    when all its files are written and verified, or not at all.

    Args:
        machine: Name of the machine.
        model_type: ``gru`` or ``xgb``.
        output: The folder to create, which may exist if it is empty; by default ``TYPE_MACHINE_TIMESTAMP`` in the
            current folder.
        run: Only models of this run, or of all runs of this TrainingJob; ``RunReference.of_fleet`` names a fleet.
        bucket: The bucket of the models.

    Returns:
        The folder. ``model-card.json`` in it has the machine, the type, the period of the data, the metrics, the run,
        the versions of the libraries, and role, name, SHA-256 and size of each file.

    Raises:
        TrainingError: RegistryFailed when no such model is registered or the registry cannot be read,
            ArtifactStoreFailed when a file is missing or changed or cannot be read, and InvalidConfiguration when a
            setting is invalid or the folder cannot be written.
    """
    store = ObjectStore.from_environment(os.environ, bucket)
    row, paths = _newest(machine, model_type, run)
    manifest = _manifest(store, paths.manifest_key)
    try:
        files = files_of(manifest)
    except ValueError as error:
        raise _store_error(f"{store.uri(paths.manifest_key)}: {error}") from error
    names = _local_names(store, paths, files)
    card = _model_card(row, json.loads(manifest), store, files, names)
    folder = output or Path(
        f"{model_type}_{PurePosixPath(paths.folder).parent.name}_{PurePosixPath(paths.folder).name}"
    )
    with _written_at_once(folder) as unfinished:
        for file in files:
            try:
                content = store.get_verified(file.key, file.sha256)
            except UnverifiedError as error:
                raise _store_error(f"{error}. Nothing was written; restore it, or fetch another run.") from error
            (unfinished / names[file.key]).write_bytes(content)
        (unfinished / MODEL_CARD).write_text(json.dumps(card, indent=2, allow_nan=False) + "\n")
    return folder


def _newest(machine: str, model_type: str, run: RunReference | None) -> tuple[ModelRow, ArtifactPaths]:
    rows = registered_rows(machine, model_type)
    by_address = {row.bucket_address: row for row in (run.of(rows) if run else rows)}
    paths = newest_paths(by_address, machine, model_type)
    if paths is None:
        of_run = f" by {run}" if run else ""
        count = len(rows)
        raise TrainingError(
            Reason.REGISTRY_FAILED,
            f"Table models has no {model_type} model of {machine} registered{of_run}; it has {count} of this machine "
            "and type. Check the names; a run that adopted a model or failed a gate registered none.",
        )
    return by_address[paths.address], paths


def _local_names(store: ObjectStore, paths: ArtifactPaths, files: list[Artifact]) -> dict[str, str]:
    """Key of each file to its name in the folder. A key that is not one of this model's is refused."""
    names = {file.key: file.key.removeprefix(paths.folder) for file in files}
    foreign = [
        key
        for key, name in names.items()
        if key not in paths.top_keys and (name in {key, MODEL_CARD} or name != PurePosixPath(name).name)
    ]
    if foreign or paths.address not in names:
        wrong = f"lists {foreign[0]!r}" if foreign else f"does not list {paths.address!r}"
        raise _store_error(f"{store.uri(paths.manifest_key)} is not the manifest of {paths.address}: it {wrong}.")
    return names


def _model_card(
    row: ModelRow, manifest: Mapping[str, Any], store: ObjectStore, files: list[Artifact], names: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "machine": row.machine_name,
        "modelType": row.model_type,
        "address": store.uri(row.bucket_address),
        "data": manifest.get("data") or {"start": str(row.data_start_date), "end": str(row.data_end_date)},
        "run": manifest.get("run"),
        "versions": manifest.get("versions"),
        "metrics": row.metrics,
        "files": [
            {"role": file.name, "name": names[file.key], "sha256": file.sha256, "sizeBytes": file.size}
            for file in files
        ],
    }


def _manifest(store: ObjectStore, key: str) -> bytes:
    content = store.get(key)
    if content is None:
        raise _store_error(
            f"{store.uri(key)} is missing, so the model cannot be verified. Restore the object, or fetch another run. "
            "A model that another program registered has no manifest."
        )
    return content


@contextmanager
def _written_at_once(folder: Path) -> Iterator[Path]:
    """A new folder beside the wanted one; it is renamed when the block ends, and removed when the block fails."""
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            message = f"{folder} exists and is not an empty folder. Choose another --output, or remove it."
            raise TrainingError(Reason.INVALID_CONFIGURATION, message)
        unfinished = folder.absolute().with_name(f".{folder.name}.{uuid4().hex}")
        unfinished.mkdir(parents=True)
        try:
            yield unfinished
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        message = f"{folder} cannot be written: {error.strerror}."
        raise TrainingError(Reason.INVALID_CONFIGURATION, message) from error


def _store_error(message: str) -> TrainingError:
    return TrainingError(Reason.ARTIFACT_STORE_FAILED, message)
