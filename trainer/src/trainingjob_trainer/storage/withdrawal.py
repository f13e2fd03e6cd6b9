"""Finds models that were published but never registered, by their claims, and removes them."""

from collections.abc import Iterable

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.storage import registry
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths, claimed_by
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import withdraw


def claimed_paths(run: TrainingRun, store: ObjectStore) -> list[ArtifactPaths]:
    """The paths that attempts of the run reserved."""
    machine = run.spec.machine
    keys = (entry.key for entry in store.list(f"runs/{machine}/"))
    return claimed_by(keys, run.spec.model.type, machine, run.uid, run.run)


def withdraw_unregistered(run: TrainingRun, store: ObjectStore, paths: Iterable[ArtifactPaths]) -> None:
    """Remove the files at the top of the bucket that attempts of the run stored, unless the run is registered.

    Raises:
        TrainingError: ArtifactStoreFailed or RegistryFailed.
    """
    by_address = {paths.address: paths for paths in paths}
    if by_address:
        registry.withdraw_unregistered(
            run.uid, run.run, by_address, lambda address: withdraw(store, by_address[address])
        )
