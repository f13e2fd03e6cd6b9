"""Reads the newest registered model of a machine and type from its safe files."""

from collections.abc import Mapping

from trainingjob_trainer.models.comparison import IncomparableError, RegisteredModel
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.storage.artifact_paths import Artifact, ArtifactPaths, files_of, newest_paths, train_end_of
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.object_store_errors import UnverifiedError
from trainingjob_trainer.storage.registered_rows import registered_addresses


def read_newest_model(store: ObjectStore, machine: str, model_type: str) -> RegisteredModel:
    """Read the newest registered model, as far as its type needs it for a comparison.

    Args:
        store: The object store.
        machine: Name of the machine.
        model_type: The value of ``spec.model.type``.

    Raises:
        IncomparableError: There is none, or it has no safe files, or one of them is missing or changed.
        TrainingError: RegistryFailed or ArtifactStoreFailed.
    """
    paths = newest_registered(machine, model_type)
    if paths is None:
        raise IncomparableError(f"no {model_type} model of {machine} is registered")
    return read_registered(store, paths)


def newest_registered(machine: str, model_type: str) -> ArtifactPaths | None:
    """The paths of the newest registered model of a machine and type.

    Raises:
        TrainingError: RegistryFailed.
    """
    prefix = ModelFactory.create(model_type).contract_names["model"].prefix
    return newest_paths(registered_addresses(f"{prefix}{machine}_"), machine, model_type)


def read_registered(store: ObjectStore, paths: ArtifactPaths) -> RegisteredModel:
    """Read a registered model, as far as its type needs it for a comparison.

    Raises:
        IncomparableError: It has no safe files, or one of them is missing or changed.
        TrainingError: ArtifactStoreFailed.
    """
    content = store.get(paths.manifest_key)
    if content is None:
        raise IncomparableError(
            f"{paths.address} has no safe copy ({store.uri(paths.manifest_key)} is missing), and pickles are never read"
        )
    try:
        listed = {file.name: file for file in files_of(content)}
        train_end = train_end_of(content)
    except ValueError as error:
        raise IncomparableError(f"{store.uri(paths.manifest_key)} cannot be read: {error}") from error
    files = {
        role: _verified(store, paths.address, role, listed)
        for role in ModelFactory.create(paths.model_type).comparison_files
    }
    return RegisteredModel(paths.address, paths.timestamp, train_end, files)


def _verified(store: ObjectStore, address: str, role: str, listed: Mapping[str, Artifact]) -> bytes:
    if role not in listed:
        raise IncomparableError(f"{address} has no file {role}")
    try:
        return store.get_verified(listed[role].key, listed[role].sha256)
    except UnverifiedError as error:
        raise IncomparableError(str(error)) from error
