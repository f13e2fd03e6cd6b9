"""Publishes the files of a model to the object store. All files are verified before readers can find the model."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.artifact_paths import Artifact, ArtifactPaths, Upload, files_of, manifest, uploads
from trainingjob_trainer.storage.object_store import ObjectStore, sha256
from trainingjob_trainer.storage.object_store_errors import UnverifiedError

logger = logging.getLogger(__name__)
_MAXIMUM_SECONDS_MOVED = 600
_CONTENT_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class Publication:
    """The stored files of a model, and those that are stored last because they make the model visible to readers.

    Attributes:
        paths: Their keys.
        artifacts: Every file, the manifest last.
        pending: The files that readers look for, the model last; empty for a rejected model.
    """

    paths: ArtifactPaths
    artifacts: Sequence[Artifact]
    pending: Sequence[Upload]


def reserve(store: ObjectStore, wanted: ArtifactPaths, claim_name: str, claim: bytes) -> ArtifactPaths:
    """Reserve a timestamp of a machine for one publication; try later timestamps while the wanted one is taken.

    Each publisher stores a claim first and then lists the claims of others. If two publishers claim the same
    timestamp, at least one of them finds the other's claim and tries a later timestamp. If both do, they advance by
    different numbers of seconds.

    Args:
        store: The object store.
        wanted: The paths with the wanted timestamp.
        claim_name: Name of the claim's file, unique for the run and attempt.
        claim: Content of the claim; it remains beside the model as a record of the run.

    Returns:
        The paths with the reserved timestamp.
    """
    paths = wanted
    while paths.timestamp - wanted.timestamp <= timedelta(seconds=_MAXIMUM_SECONDS_MOVED):
        own = f"{paths.folder}{claim_name}"
        seconds = 1
        if store.size(paths.address) is None and not _other_keys(store, paths, own):
            store.put(own, claim, _CONTENT_TYPES[".json"])
            others = _other_keys(store, paths, own)
            if not others:
                return paths
            store.delete(own)
            seconds += sum(other < own for other in others)
        paths = replace(paths, timestamp=paths.timestamp + timedelta(seconds=seconds))
    raise TrainingError(
        Reason.ARTIFACT_STORE_FAILED,
        f"No free timestamp in bucket {store.bucket!r}: all {_MAXIMUM_SECONDS_MOVED} seconds after {wanted.folder} are "
        "taken by other models.",
    )


def publish(
    store: ObjectStore,
    paths: ArtifactPaths,
    files: Sequence[ModelFile],
    facts: Mapping[str, Any],
    heartbeat: Callable[[], None],
) -> Publication:
    """Store the manifest and all files except those that readers look for; read each object back and compare it.

    Args:
        store: The object store.
        paths: The reserved paths.
        files: All files but the manifest.
        facts: Further content of the manifest.
        heartbeat: Called after each object.

    Raises:
        TrainingError: ArtifactStoreFailed. Files stored until then may remain; no registered model refers to them.
    """
    stored = uploads(paths, files)
    content = manifest(paths, stored, facts)
    listed = Upload(Artifact("manifest", paths.manifest_key, sha256(content), len(content)), content)
    pending = [upload for upload in stored if upload.artifact.key in paths.top_keys]
    for upload in [*(upload for upload in stored if upload not in pending), listed]:
        _store_verified(store, upload)
        heartbeat()
    return Publication(paths, [*(upload.artifact for upload in stored), listed.artifact], pending)


def expose(store: ObjectStore, publication: Publication) -> None:
    """Store the files that readers look for; read each one back and compare it.

    Raises:
        TrainingError: ArtifactStoreFailed. The caller must then ``withdraw`` the files that were stored.
    """
    for upload in publication.pending:
        _store_verified(store, upload)


def withdraw(store: ObjectStore, paths: ArtifactPaths) -> None:
    """Remove the files that readers look for, the model first. Files under ``runs/`` stay."""
    for key in reversed(paths.top_keys):
        store.delete(key)


def verify(store: ObjectStore, manifest_key: str) -> list[Artifact] | str:
    """Compare the stored files with their manifest.

    Returns:
        Every file, the manifest last; or a text that says which file is missing or changed.
    """
    content = store.get(manifest_key)
    if content is None:
        return f"{store.uri(manifest_key)} is missing"
    try:
        files = files_of(content)
    except ValueError as error:
        return f"{store.uri(manifest_key)}: {error}"
    for file in files:
        try:
            store.get_verified(file.key, file.sha256)
        except UnverifiedError as error:
            return str(error)
    return [*files, Artifact("manifest", manifest_key, sha256(content), len(content))]


def _other_keys(store: ObjectStore, paths: ArtifactPaths, own: str) -> list[str]:
    return [entry.key for entry in store.list(paths.folder) if entry.key != own]


def _store_verified(store: ObjectStore, upload: Upload) -> None:
    key, wanted = upload.artifact.key, upload.artifact.sha256
    suffix = key[key.rfind(".") :]
    for _ in range(2):
        store.put(key, upload.content, _CONTENT_TYPES.get(suffix, "application/octet-stream"))
        found = store.get(key)
        if found is not None and sha256(found) == wanted:
            return
        logger.warning("%s: the content read back differs from the stored content", store.uri(key))
    raise TrainingError(
        Reason.ARTIFACT_STORE_FAILED,
        f"{store.uri(key)}: the content read back differs from the stored content ({upload.artifact.size} bytes), also "
        "at the second try. Check the object store: it loses or changes data.",
        transient=True,
    )
