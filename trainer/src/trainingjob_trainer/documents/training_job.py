"""Reads a TrainingRun from the operator's JSON, or from the YAML of a TrainingJob, resolved like the operator does."""

from datetime import datetime

from trainingjob_api.hashing import spec_hash
from trainingjob_api.names import KIND, TRAINING_JOB_VARIABLE
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.documents.first_run import first_run_fields
from trainingjob_trainer.documents.manifest import TrainingJobManifest
from trainingjob_trainer.documents.manifest_reader import read_manifest, read_variable


def read_training_run(text: str) -> TrainingRun:
    """Read the JSON that the operator passes in ``TRAINING_JOB``.

    Raises:
        TrainingError: InvalidConfiguration; the message has each invalid field.
    """
    return read_variable(text, TRAINING_JOB_VARIABLE, TrainingRun)


def load_training_job(text: str, now: datetime | None = None) -> TrainingRun:
    """Read the YAML of one TrainingJob as the first run of a new object, for training without a cluster.

    Manifests that the API server refuses are refused here too.

    Args:
        text: A file as for ``kubectl apply``; objects of other kinds in it are ignored.
        now: The time at which the run is accepted; the current time by default.

    Raises:
        TrainingError: InvalidConfiguration, with one line for each invalid field.
    """
    return first_run_of_training_job(read_manifest(text, {KIND: TrainingJobManifest}), now)


def first_run_of_training_job(manifest: TrainingJobManifest, now: datetime | None = None) -> TrainingRun:
    """The first run of a new TrainingJob that is accepted at ``now``."""
    spec = manifest.spec
    fields = first_run_fields(manifest.metadata, spec, spec.accelerator.policy, now)
    return TrainingRun(**fields, spec_hash=spec_hash(spec.as_json()), spec=spec)
