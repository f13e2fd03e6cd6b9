"""Taking a model that is already there: this run's own from an earlier attempt, or an equal run's."""

import logging
from collections.abc import Sequence

from trainingjob_api.names import RETRAIN_ANNOTATION
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.gates import failed_gates
from trainingjob_trainer.run.result import Ending, Findings
from trainingjob_trainer.storage.artifact_paths import Artifact, manifest_key_of
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import verify
from trainingjob_trainer.storage.registry import RecordedRun

_LOG = logging.getLogger(__name__)


def report_recorded(run: TrainingRun, store: ObjectStore, recorded: RecordedRun, findings: Findings) -> Ending:
    """Tell the end of a run that the registry knows already, from an earlier attempt or from one beside this.

    Raises:
        TrainingError: GateFailed when it was rejected, ArtifactStoreFailed when its objects are no longer intact.
    """
    if recorded.outcome == "rejected":
        describe(findings, recorded, store, [])
        raise gate_failed(run, recorded, store)
    artifacts = _verified(run, store, recorded)
    if isinstance(artifacts, str):
        raise TrainingError(
            Reason.ARTIFACT_STORE_FAILED,
            f"This run is registered as {recorded.bucket_address}, but {artifacts}. Restore that object, or ask for a "
            f"new run with the annotation {RETRAIN_ANNOTATION}.",
        )
    describe(findings, recorded, store, artifacts)
    if recorded.outcome == "adopted":
        return adopted_ending(recorded)
    return Ending(Reason.COMPLETED, f"Registered as {recorded.bucket_address}.")


def can_be_adopted(run: TrainingRun, store: ObjectStore, candidate: RecordedRun, findings: Findings) -> bool:
    """Whether a registered model of an equal run passes the gates of this run and is intact; the log says why not."""
    failures = failed_gates(run.spec.gates, candidate.metrics)
    if failures:
        _LOG.info("%s is not adopted: %s", candidate.bucket_address, "; ".join(failures))
        return False
    artifacts = _verified(run, store, candidate)
    if isinstance(artifacts, str):
        _LOG.warning("%s is not adopted: %s", candidate.bucket_address, artifacts)
        return False
    describe(findings, candidate, store, artifacts)
    return True


def adopted_ending(recorded: RecordedRun) -> Ending:
    """The end of a run that took the model of an equal one."""
    return Ending(
        Reason.ADOPTED_EXISTING_RUN,
        f"{recorded.bucket_address} was trained before from an equal spec and equal data; verified and adopted.",
    )


def gate_failed(run: TrainingRun, recorded: RecordedRun, store: ObjectStore) -> TrainingError:
    """The error of a run whose model was recorded as rejected."""
    failures = failed_gates(run.spec.gates, recorded.metrics)
    return TrainingError(
        Reason.GATE_FAILED,
        f"The model was not registered: {'; '.join(failures)}. It is kept at {store.uri(recorded.bucket_address)}.",
    )


def describe(findings: Findings, recorded: RecordedRun, store: ObjectStore, artifacts: Sequence[Artifact]) -> None:
    """Fill in what the registry and the manifest say of a run."""
    metrics = recorded.metrics
    findings.metrics = metrics
    findings.summary = str(metrics.get("summary", ""))
    findings.artifacts = [
        {"name": file.name, "uri": store.uri(file.key), "sha256": file.sha256, "sizeBytes": file.size}
        for file in artifacts
    ]
    findings.data = metrics.get("data", {})
    findings.warnings = metrics.get("warnings", ())
    if recorded.outcome != "rejected":
        findings.registration = {"modelID": recorded.model_id, "bucketAddress": recorded.bucket_address}


def _verified(run: TrainingRun, store: ObjectStore, recorded: RecordedRun) -> list[Artifact] | str:
    try:
        manifest_key = manifest_key_of(recorded.bucket_address, run.spec.machine, run.spec.model.type)
    except ValueError as error:
        return str(error)
    return verify(store, manifest_key)
