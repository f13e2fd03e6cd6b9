"""Reads the one TrainingJob or TrainingFleet of a file, for commands that take both kinds."""

from collections.abc import Mapping
from datetime import datetime

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.documents.manifest import TrainingFleetManifest, TrainingJobManifest
from trainingjob_trainer.documents.manifest_reader import read_manifest
from trainingjob_trainer.documents.training_fleet import first_run_of_training_fleet
from trainingjob_trainer.documents.training_job import first_run_of_training_job

_MANIFESTS: Mapping[str, type[TrainingJobManifest | TrainingFleetManifest]] = {
    KIND: TrainingJobManifest,
    FLEET_KIND: TrainingFleetManifest,
}


def load_run(text: str, now: datetime | None = None) -> TrainingRun | FleetRun:
    """Read YAML as ``load_training_job`` or ``load_training_fleet`` does, by the kind of its object.

    Raises:
        TrainingError: InvalidConfiguration, also when the file has more than one object of these kinds.
    """
    manifest = read_manifest(text, _MANIFESTS)
    if isinstance(manifest, TrainingFleetManifest):
        return first_run_of_training_fleet(manifest, now)
    return first_run_of_training_job(manifest, now)
