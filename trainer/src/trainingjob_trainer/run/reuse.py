"""Reuses an existing model: one that an earlier attempt of this run registered, or one of an equal run."""

import logging
from collections.abc import Sequence

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.metrics import IMPROVEMENT
from trainingjob_api.names import RETRAIN_ANNOTATION
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.gates import failed_gates
from trainingjob_trainer.run.result import RunResult, RunSummary
from trainingjob_trainer.storage.artifact_paths import Artifact, registered_paths
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import verify
from trainingjob_trainer.storage.registry_rows import RecordedRun

logger = logging.getLogger(__name__)


def verified_result(run: TrainingRun, store: ObjectStore, recorded: RecordedRun) -> RunResult:
    """Verify the objects of a run that another attempt recorded, and return its result.

    Raises:
        TrainingError: ArtifactStoreFailed when an object is missing or changed.
    """
    if recorded.outcome == "rejected":
        return recorded_result(run, store, recorded, [])
    artifacts = _verified(run, store, recorded)
    if isinstance(artifacts, str):
        raise TrainingError(
            Reason.ARTIFACT_STORE_FAILED,
            f"This run is registered as {recorded.bucket_address}, but {artifacts}. Restore that object, or request a "
            f"new run with the annotation {RETRAIN_ANNOTATION}.",
        )
    return recorded_result(run, store, recorded, artifacts)


def adoptable_artifacts(run: TrainingRun, store: ObjectStore, candidate: RecordedRun) -> list[Artifact] | None:
    """The files of an equal run's registered model, if this run can adopt it.

    Returns:
        None when the model fails a gate of this run, or a file is missing or changed; the log has the cause.
    """
    # The candidate is registered already, so there is nothing to compare it with.
    gates = [gate for gate in run.spec.gates if gate.metric != IMPROVEMENT]
    failures = failed_gates(gates, candidate.metrics)
    if failures:
        logger.info("%s is not adopted: %s", candidate.bucket_address, "; ".join(failures))
        return None
    artifacts = _verified(run, store, candidate)
    if isinstance(artifacts, str):
        logger.warning("%s is not adopted: %s", candidate.bucket_address, artifacts)
        return None
    return artifacts


def adopted_result(recorded: RecordedRun, store: ObjectStore, artifacts: Sequence[Artifact]) -> RunResult:
    """The result of a run that adopted the model of an equal run."""
    return RunResult(
        Reason.ADOPTED_EXISTING_RUN,
        f"{recorded.bucket_address} was trained earlier with an equal spec and equal data; it is verified and adopted.",
        summary=_summary(recorded, store, artifacts),
    )


def recorded_result(
    run: TrainingRun, store: ObjectStore, recorded: RecordedRun, artifacts: Sequence[Artifact]
) -> RunResult:
    """The result of a recorded run: Completed, AdoptedExistingRun or GateFailed."""
    if recorded.outcome == "adopted":
        return adopted_result(recorded, store, artifacts)
    summary = _summary(recorded, store, artifacts)
    if recorded.outcome == "rejected":
        failures = "; ".join(failed_gates(run.spec.gates, recorded.metrics))
        message = f"The model was not registered: {failures}. It is kept at {store.uri(recorded.bucket_address)}."
        return RunResult(Reason.GATE_FAILED, message, ExitCode.GATE_FAILED, summary)
    return RunResult(Reason.COMPLETED, f"Registered as {recorded.bucket_address}.", summary=summary)


def _summary(recorded: RecordedRun, store: ObjectStore, artifacts: Sequence[Artifact]) -> RunSummary:
    """The summary of a run from the registry and the manifest."""
    metrics = recorded.metrics
    registered = {"modelID": recorded.model_id, "bucketAddress": recorded.bucket_address}
    return RunSummary(
        summary=str(metrics.get("summary", "")),
        metrics=metrics,
        artifacts=[
            {"name": file.name, "uri": store.uri(file.key), "sha256": file.sha256, "sizeBytes": file.size}
            for file in artifacts
        ],
        registration={} if recorded.outcome == "rejected" else registered,
        data=metrics.get("data", {}),
        warnings=metrics.get("warnings", ()),
    )


def _verified(run: TrainingRun, store: ObjectStore, recorded: RecordedRun) -> list[Artifact] | str:
    try:
        paths = registered_paths(recorded.bucket_address, run.spec.machine, run.spec.model.type)
    except ValueError as error:
        return str(error)
    return verify(store, paths.manifest_key)
