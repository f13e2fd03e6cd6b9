"""The stages of a run: load, prepare, adopt or train, check the gates, publish, register once."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import import_module
from types import ModuleType
from typing import Any

from trainingjob_api.progress import Stage
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import Dataset, ModelFile, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.comparison import RegisteredModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.report.render import draw_report
from trainingjob_trainer.run.gates import failed_gates
from trainingjob_trainer.run.improvement import model_to_beat, with_improvement
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.run.records import data_section, manifest_facts, model_row, period_of, registered_metrics
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.run.reuse import adoptable_artifacts, adopted_result, recorded_result, verified_result
from trainingjob_trainer.storage import registry
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths, claim_of
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import Publication, expose, publish, reserve
from trainingjob_trainer.storage.registry import Also, record_nothing_else
from trainingjob_trainer.storage.registry_rows import ModelRow, RecordedRun, RunKey
from trainingjob_trainer.storage.registry_sample import sample_model
from trainingjob_trainer.storage.telemetry import load_telemetry
from trainingjob_trainer.storage.withdrawal import claimed_paths, withdraw_unregistered

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedRun:
    """A run whose data is ready for the training.

    Attributes:
        run: The run.
        key: Its key in the registry, with the fingerprint of the data.
        dataset: The data to train on.
        registered: What the new model is compared with, as ``model_to_beat`` returns it.
        imports: The heavy libraries; iterating over it waits until they are imported.
        checkpoints: Those of the run.
    """

    run: TrainingRun
    key: RunKey
    dataset: Dataset
    registered: RegisteredModel | str | None
    imports: Iterator[ModuleType]
    checkpoints: Checkpoints


@dataclass(frozen=True)
class TrainedRun:
    """A run whose model is trained and ready to be published.

    Attributes:
        loaded: The run; its dataset has the warnings about the model too.
        trained: The model.
        report: The files of the report.
        rejected: Whether the model failed a gate.
    """

    loaded: LoadedRun
    trained: TrainedModel
    report: Sequence[ModelFile]
    rejected: bool


def execute(run: TrainingRun, device: Device, progress: RunProgress, store: ObjectStore) -> RunResult:
    """Execute all stages of a run, from loading telemetry to registering the model.

    libpq's environment variables determine the PostgreSQL server.

    Args:
        run: The run.
        device: The device to compute on.
        progress: Receives every stage and the summary so far, and says whether to stop.
        store: The object store for the model.

    Returns:
        Completed, AdoptedExistingRun or GateFailed.

    Raises:
        TrainingError: With the reason why the run failed.
    """
    store.check()
    loaded = load(run, progress, store)
    if isinstance(loaded, RunResult):
        return loaded
    return publish_and_register(train(loaded, device, progress), progress, store)


def load(
    run: TrainingRun, progress: RunProgress, store: ObjectStore, also: Also = record_nothing_else
) -> LoadedRun | RunResult:
    """Load and prepare the data of a run, unless the run needs no training.

    Args:
        run: The run.
        progress: See ``execute``.
        store: See ``execute``.
        also: What else to write in the transaction that records an adopted model.

    Returns:
        The result of the run where an earlier attempt recorded it, or where it adopts a registered model.

    Raises:
        TrainingError: With the reason why the run failed.
    """
    recorded = registry.find_run(run.uid, run.run)
    if recorded is not None:
        return verified_result(run, store, recorded)
    model_type = ModelFactory.create(run.spec.model.type)
    key = RunKey(run.uid, run.run, run.spec_hash, model_type.trainer_revision, fingerprint="0" * 64)
    registry.try_registration(key, sample_model(run, _paths(run)))
    withdraw_unregistered(run, store, claimed_paths(run, store))

    _enter(progress, Stage.LOADING)
    adoptable = run.adopt and registry.has_equal_spec(key)
    # A run that adopts a model needs no heavy libraries.
    imports = ThreadPoolExecutor(1).map(import_module, () if adoptable else model_type.libraries)
    telemetry = load_telemetry(run.spec, run.window)
    key = replace(key, fingerprint=telemetry.fingerprint)
    candidate = registry.find_equal_run(key) if run.adopt else None
    artifacts = adoptable_artifacts(run, store, candidate) if candidate else None
    if candidate and artifacts is not None:
        registry.record_adopted(key, candidate, also)
        return adopted_result(candidate, store, artifacts)

    _enter(progress, Stage.PREPARING)
    dataset: Dataset = model_type.prepare(telemetry, run.spec)
    del telemetry
    progress.record(data=data_section(dataset.summary), warnings=dataset.summary.warnings)
    # The table may allow only one model for each period, and the exact period is known only now.
    registry.try_registration(key, sample_model(run, _paths(run), period_of(dataset.summary)))
    checkpoints = Checkpoints(store, run, key.fingerprint)
    checkpoints.remove_superseded()
    return LoadedRun(run, key, dataset, model_to_beat(run, store), imports, checkpoints)


def train(loaded: LoadedRun, device: Device, progress: RunProgress, base: FleetBase | None = None) -> TrainedRun:
    """Train the model of a run, evaluate it, and draw its report.

    Args:
        loaded: As ``load`` returned it.
        device: See ``execute``.
        progress: See ``execute``.
        base: The base of the fleet that the run belongs to.

    Raises:
        TrainingError: With the reason why the run failed.
    """
    run, model_type = loaded.run, ModelFactory.create(loaded.run.spec.model.type)
    _enter(progress, Stage.TRAINING)
    list(loaded.imports)
    trained = model_type.train(
        loaded.dataset, run.spec, progress, checkpoints=loaded.checkpoints, device=device, base=base
    )
    return judge(loaded, trained, progress)


def train_together(
    runs: Sequence[tuple[LoadedRun, RunProgress]], device: Device, reporter: Reporter, base: FleetBase | None
) -> list[TrainedModel | TrainingError]:
    """Train the models of several runs of one type at once; see ``ModelType.train_many``.

    Args:
        runs: As ``load`` returned them, with their progress.
        device: See ``execute``.
        reporter: Receives heartbeats, and says whether to stop.
        base: The base of the fleet that the runs belong to.

    Raises:
        TrainingError: With the reason why none of them can be trained.
    """
    for loaded, progress in runs:
        _enter(progress, Stage.TRAINING)
        list(loaded.imports)
    machines = [(loaded.dataset, loaded.run.spec) for loaded, _ in runs]
    model_type = ModelFactory.create(machines[0][1].model.type)
    return model_type.train_many(machines, reporter, device=device, base=base)


def judge(loaded: LoadedRun, trained: TrainedModel, progress: RunProgress) -> TrainedRun:
    """Compare a trained model with the registered one and with the gates, and draw its report.

    Args:
        loaded: The run.
        trained: Its model.
        progress: See ``execute``.
    """
    run, dataset, model_type = loaded.run, loaded.dataset, ModelFactory.create(loaded.run.spec.model.type)
    # The remaining stages take seconds, so a request to stop is ignored from here on.
    progress.stage(Stage.EVALUATING)
    trained = with_improvement(trained, loaded.registered, model_type, dataset, run.spec)
    failures = failed_gates(run.spec.gates, trained.metrics)
    dataset = _with_notes(dataset, trained.metrics.get("notes", ()))
    report = draw_report(model_type, dataset, trained, _parameters(model_type.settings(run.spec), run))
    dataset = _with_notes(dataset, report.warnings)
    progress.record(summary=trained.summary, metrics=trained.metrics, warnings=dataset.summary.warnings)
    progress.heartbeat()
    return TrainedRun(replace(loaded, dataset=dataset), trained, report.files, bool(failures))


def publish_and_register(
    done: TrainedRun, progress: RunProgress, store: ObjectStore, also: Also = record_nothing_else
) -> RunResult:
    """Publish the model of a run and record the run.

    Args:
        done: As ``train`` returned it.
        progress: See ``execute``.
        store: See ``execute``.
        also: What else to write in the transaction that records the run.

    Raises:
        TrainingError: With the reason why the run failed; nothing is registered then.
    """
    run, key, dataset, trained = done.loaded.run, done.loaded.key, done.loaded.dataset, done.trained
    progress.stage(Stage.PUBLISHING)
    claim = run.model_dump_json(by_alias=True, indent=2).encode()
    paths = reserve(store, _paths(run, rejected=done.rejected), claim_of(run.uid, run.run, run.attempt), claim)
    metrics = registered_metrics(run, key, dataset, trained, paths) | {"durations": progress.now.durations}
    publication = publish(store, paths, [*trained.files, *done.report], manifest_facts(metrics), progress.heartbeat)

    progress.stage(Stage.REGISTERING)
    if paths.rejected:
        recorded = registry.record_rejected(key, paths.address, metrics, also)
    else:
        recorded = _register(run, key, store, publication, model_row(run, paths, metrics, dataset.summary), also)
    _remove_checkpoints(done.loaded.checkpoints)
    if recorded.bucket_address != paths.address:
        # Another attempt of this run registered its model first, so that model is the result.
        return verified_result(run, store, recorded)
    return recorded_result(run, store, recorded, publication.artifacts)


def _enter(progress: RunProgress, stage: Stage) -> None:
    """Enter a stage, unless a stop was requested."""
    if progress.should_stop():
        raise TrainingError(Reason.SUSPENDED, f"Stopped on request before {stage}; the next attempt starts over.")
    progress.stage(stage)
    logger.info("%s", stage)


def _with_notes(dataset: Dataset, notes: Sequence[str]) -> Dataset:
    """Add warnings about the model or its report to those about the data."""
    # The most important warnings come first, because a termination message that is too long drops the last ones.
    warnings = (*notes, *dataset.summary.warnings)
    return replace(dataset, summary=replace(dataset.summary, warnings=warnings))


def _remove_checkpoints(checkpoints: Checkpoints) -> None:
    """Remove the checkpoints. An error does not fail the run, because the model is already registered."""
    try:
        checkpoints.remove()
    except TrainingError as error:
        logger.warning("checkpoints cannot be removed: %s", error)


def _paths(run: TrainingRun, *, rejected: bool = False) -> ArtifactPaths:
    return ArtifactPaths(run.spec.model.type, run.spec.machine, datetime.now(UTC).replace(microsecond=0), rejected)


def _parameters(settings: Mapping[str, Any], run: TrainingRun) -> Mapping[str, Any]:
    """The resolved parameters of the training by API name, for the report."""
    parameters = {**settings, "seed": run.spec.model.seed}
    return {
        name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in parameters.items()
    }


def _register(
    run: TrainingRun, key: RunKey, store: ObjectStore, publication: Publication, model: ModelRow, also: Also
) -> RecordedRun:
    """Register the model and store the files that readers look for: both or neither."""
    exposed = False

    def expose_files() -> None:
        nonlocal exposed
        exposed = True
        expose(store, publication)

    try:
        return registry.save_model_metadata(key, model, expose_files, also)
    except TrainingError:
        if exposed:
            _withdraw(run, store, publication.paths)
        raise


def _withdraw(run: TrainingRun, store: ObjectStore, paths: ArtifactPaths) -> None:
    try:
        withdraw_unregistered(run, store, [paths])
    except TrainingError as error:
        logger.warning("%s cannot be removed; the next attempt removes it: %s", paths.address, error)
