"""Publishing: the files of a model into the object store, complete and verified before anybody is told of them."""

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

logger = logging.getLogger(__name__)
_MAXIMUM_SECONDS_MOVED = 600
_CONTENT_TYPES = {".json": "application/json", ".html": "text/html; charset=utf-8"}


@dataclass(frozen=True)
class Publication:
    """The files of a model, of which the last ones wait to be stored until readers may find them.

    Attributes:
        paths: Where they lie.
        artifacts: Every file, the manifest last.
        waiting: What readers look for, the model last; nothing for a rejected model.
    """

    paths: ArtifactPaths
    artifacts: Sequence[Artifact]
    waiting: Sequence[Upload]


def reserve(store: ObjectStore, wanted: ArtifactPaths, claim_name: str, claim: bytes) -> ArtifactPaths:
    """Take a timestamp of a machine that no other publication has, moving on by a second while it is taken.

    Every publisher first leaves a claim and then looks: of two at the same moment at least one sees the other and
    goes on. Those that see each other go on by different steps.

    Args:
        store: The object store.
        wanted: The place with the wanted timestamp.
        claim_name: Name of the claim's file, which is that of the run and attempt.
        claim: What the claim says; it stays beside the model as a record of the run.

    Returns:
        The place with the timestamp that is ours alone.
    """
    paths = wanted
    while paths.timestamp - wanted.timestamp <= timedelta(seconds=_MAXIMUM_SECONDS_MOVED):
        own = f"{paths.folder}{claim_name}"
        seconds = 1
        if store.size(paths.address) is None and not _others(store, paths, own):
            store.put(own, claim, _CONTENT_TYPES[".json"])
            others = _others(store, paths, own)
            if not others:
                return paths
            store.delete(own)
            seconds += sum(other < own for other in others)
        paths = replace(paths, timestamp=paths.timestamp + timedelta(seconds=seconds))
    raise TrainingError(
        Reason.ARTIFACT_STORE_FAILED,
        f"Every second of the {_MAXIMUM_SECONDS_MOVED} from {wanted.folder} on is taken in bucket {store.bucket!r}.",
    )


def publish(
    store: ObjectStore,
    paths: ArtifactPaths,
    files: Sequence[ModelFile],
    facts: Mapping[str, Any],
    heartbeat: Callable[[], None],
) -> Publication:
    """Store the files and their manifest, read everything back and compare; but not yet what readers look for.

    Args:
        store: The object store.
        paths: A reserved place.
        files: All files but the manifest.
        facts: What the manifest says besides.
        heartbeat: Called after each object.

    Raises:
        TrainingError: ArtifactStoreFailed; what was stored by then is of no consequence, as no row names it.
    """
    stored = uploads(paths, files)
    content = manifest(paths, stored, facts)
    listed = Upload(Artifact("manifest", paths.manifest_key, sha256(content), len(content)), content)
    waiting = [upload for upload in stored if upload.artifact.key in paths.top_keys]
    for upload in [*(upload for upload in stored if upload not in waiting), listed]:
        _store_verified(store, upload)
        heartbeat()
    return Publication(paths, [*(upload.artifact for upload in stored), listed.artifact], waiting)


def expose(store: ObjectStore, publication: Publication) -> None:
    """Store what readers look for, read it back and compare.

    Raises:
        TrainingError: ArtifactStoreFailed; ``withdraw`` what was stored by then.
    """
    for upload in publication.waiting:
        _store_verified(store, upload)


def withdraw(store: ObjectStore, paths: ArtifactPaths) -> None:
    """Remove what readers look for, the model first; what is under ``runs/`` stays."""
    for key in reversed(paths.top_keys):
        store.delete(key)


def verify(store: ObjectStore, manifest_key: str) -> list[Artifact] | str:
    """Hold a publication against its manifest.

    Returns:
        Every file, the manifest last; or what is wrong, in words.
    """
    content = store.get(manifest_key)
    if content is None:
        return f"{store.uri(manifest_key)} is missing"
    try:
        files = files_of(content)
    except ValueError as error:
        return f"{store.uri(manifest_key)}: {error}"
    for file in files:
        found = store.get(file.key)
        if found is None:
            return f"{store.uri(file.key)} is missing"
        if sha256(found) != file.sha256:
            return f"{store.uri(file.key)} is not the file that was stored: its SHA-256 differs from the manifest's"
    return [*files, Artifact("manifest", manifest_key, sha256(content), len(content))]


def _others(store: ObjectStore, paths: ArtifactPaths, own: str) -> list[str]:
    return [entry.key for entry in store.list(paths.folder) if entry.key != own]


def _store_verified(store: ObjectStore, upload: Upload) -> None:
    key, wanted = upload.artifact.key, upload.artifact.sha256
    suffix = key[key.rfind(".") :]
    for _ in range(2):
        store.put(key, upload.content, _CONTENT_TYPES.get(suffix, "application/octet-stream"))
        found = store.get(key)
        if found is not None and sha256(found) == wanted:
            return
        logger.warning("%s was read back with another content than was stored", store.uri(key))
    raise TrainingError(
        Reason.ARTIFACT_STORE_FAILED,
        f"{store.uri(key)} was read back twice with another content than was stored ({upload.artifact.size} bytes). "
        "Check the object store: it loses or changes what it is given.",
        transient=True,
    )
