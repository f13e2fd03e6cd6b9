"""Reads a FleetRun from the operator's JSON, or from the YAML of a TrainingFleet. See ``training_job``."""

from datetime import datetime

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.hashing import fleet_spec_hash
from trainingjob_api.names import FLEET_KIND, TRAINING_FLEET_VARIABLE
from trainingjob_trainer.documents.first_run import first_run_fields
from trainingjob_trainer.documents.manifest import TrainingFleetManifest
from trainingjob_trainer.documents.manifest_reader import read_manifest, read_variable


def read_fleet_run(text: str) -> FleetRun:
    """Read the JSON that the operator passes in ``TRAINING_FLEET``.

    Raises:
        TrainingError: InvalidConfiguration; the message has each invalid field.
    """
    return read_variable(text, TRAINING_FLEET_VARIABLE, FleetRun)


def load_training_fleet(text: str, now: datetime | None = None) -> FleetRun:
    """Read the YAML of one TrainingFleet as the first run of a new object, whatever its schedule.

    Args:
        text: A file as for ``kubectl apply``; objects of other kinds in it are ignored.
        now: The time at which the run is accepted; the current time by default.

    Raises:
        TrainingError: InvalidConfiguration, with one line for each invalid field.
    """
    return first_run_of_training_fleet(read_manifest(text, {FLEET_KIND: TrainingFleetManifest}), now)


def first_run_of_training_fleet(manifest: TrainingFleetManifest, now: datetime | None = None) -> FleetRun:
    """The first run of a new TrainingFleet that is accepted at ``now``."""
    spec = manifest.spec
    fields = first_run_fields(manifest.metadata, spec.template, spec.accelerator.policy, now)
    return FleetRun(**fields, spec_hash=fleet_spec_hash(spec.as_json()), spec=spec)
