"""The stages of a run: load, prepare, adopt or train, hold against the gates, publish, register once."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from trainingjob_api.progress import Stage
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import DataSummary, Prepared, TrainedModel
from trainingjob_trainer.data.prepare import prepare_data
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.factory import ModelFactory, Training
from trainingjob_trainer.report.render import draw_report
from trainingjob_trainer.run.gates import failed_gates
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.run.result import Ending, Findings
from trainingjob_trainer.run.reuse import adopted_ending, can_be_adopted, describe, gate_failed, report_recorded
from trainingjob_trainer.storage import registry
from trainingjob_trainer.storage.artifact_paths import Place, claim_of
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.publisher import Publication, expose, publish, reserve
from trainingjob_trainer.storage.registry import ModelRow, RecordedRun, RunKey
from trainingjob_trainer.storage.registry_sample import sample_model
from trainingjob_trainer.storage.telemetry import load_telemetry
from trainingjob_trainer.storage.withdrawal import claimed_places, withdraw_unregistered

_LOG = logging.getLogger(__name__)


def execute(run: TrainingRun, device: Device, progress: RunProgress, store: ObjectStore, findings: Findings) -> Ending:
    """Take a run from telemetry to a registered model.

    PostgreSQL is the one that libpq's environment variables name.

    Args:
        run: What to do.
        device: What to compute on.
        progress: Told of every stage, and asked whether to stop.
        store: Where the model goes.
        findings: Filled in with what is found on the way, also by a run that fails.

    Returns:
        How it ended well: Completed or AdoptedExistingRun.

    Raises:
        TrainingError: With the reason why it did not end well.
    """
    store.check()
    recorded = registry.find_run(run.uid, run.run)
    if recorded is not None:
        return report_recorded(run, store, recorded, findings)
    trainer = ModelFactory.create(run.spec.model.type)
    key = RunKey(run.uid, run.run, run.spec_hash, trainer.recipe, fingerprint="0" * 64)
    registry.try_registration(key, sample_model(run, _place(run)))
    withdraw_unregistered(run, store, claimed_places(run, store))

    _enter(progress, Stage.LOADING)
    telemetry = load_telemetry(run.spec, run.window)
    key = replace(key, fingerprint=telemetry.fingerprint)
    if run.adopt:
        candidate = registry.find_equal_run(key)
        if candidate is not None and can_be_adopted(run, store, candidate, findings):
            registry.record_adopted(key, candidate)
            return adopted_ending(candidate)

    _enter(progress, Stage.PREPARING)
    prepared = prepare_data(telemetry, run.spec)
    del telemetry
    findings.data, findings.warnings = _data(prepared.summary), prepared.summary.warnings
    # A table may allow one model for each period, which is known only now.
    registry.try_registration(key, sample_model(run, _place(run), _period(prepared.summary)))

    _enter(progress, Stage.TRAINING)
    checkpoints = Checkpoints(store, run, key.fingerprint)
    checkpoints.remove_superseded()
    trained = trainer.train(Training(prepared, run.spec, progress, device, checkpoints))

    # What was trained is worth the seconds that are left to do: from here on nothing stops the run.
    progress.stage(Stage.EVALUATING)
    failures = failed_gates(run.spec.gates, trained.metrics)
    findings.summary, findings.metrics = trained.summary, trained.metrics
    prepared = _with_notes(prepared, trained.metrics.get("notes", ()))
    report = draw_report(run.spec.model.type, prepared, trained, _parameters(run))
    prepared = _with_notes(prepared, report.warnings)
    findings.warnings = prepared.summary.warnings
    progress.advanced()

    progress.stage(Stage.PUBLISHING)
    claim = run.model_dump_json(by_alias=True, indent=2).encode()
    place = reserve(store, _place(run, rejected=bool(failures)), claim_of(run.uid, run.run, run.attempt), claim)
    metrics = _registered_metrics(run, key, prepared.summary, trained, place)
    publication = publish(store, place, [*trained.files, *report.files], _facts(metrics), progress.advanced)

    progress.stage(Stage.REGISTERING)
    if place.rejected:
        recorded = registry.record_rejected(key, place.address, metrics)
    else:
        recorded = _register(run, key, store, publication, _model_row(run, place, metrics, prepared.summary))
    describe(findings, recorded, store, publication.artifacts)
    _forget(checkpoints)
    if recorded.outcome == "rejected":
        raise gate_failed(run, recorded, store)
    if recorded.bucket_address != place.address:
        # Another attempt of this run was faster; its model counts, ours is named by nobody.
        return report_recorded(run, store, recorded, findings)
    return Ending(Reason.COMPLETED, f"Registered as {recorded.bucket_address}.")


def _enter(progress: RunProgress, stage: Stage) -> None:
    """Go on to a stage, unless the process shall end."""
    if progress.should_stop():
        raise TrainingError(Reason.SUSPENDED, f"Stopped on request before {stage}; the next attempt starts over.")
    progress.stage(stage)
    _LOG.info("%s", stage)


def _with_notes(prepared: Prepared, notes: Sequence[str]) -> Prepared:
    """Let what is said of the model or its report stand beside what was said of the data."""
    # First what says whether to trust the model: a termination message too long drops the last warnings.
    warnings = (*notes, *prepared.summary.warnings)
    return replace(prepared, summary=replace(prepared.summary, warnings=warnings))


def _forget(checkpoints: Checkpoints) -> None:
    """Remove the checkpoints; the model is registered, so that failing to must not fail the run."""
    try:
        checkpoints.remove()
    except TrainingError as error:
        _LOG.warning("checkpoints are left behind: %s", error)


def _place(run: TrainingRun, *, rejected: bool = False) -> Place:
    return Place(run.spec.model.type, run.spec.machine, datetime.now(UTC).replace(microsecond=0), rejected)


def _parameters(run: TrainingRun) -> Mapping[str, Any]:
    """The resolved parameters of the training by API name, for the report."""
    block = getattr(run.spec.model, run.spec.model.type)
    parameters = block.model_dump(by_alias=True, mode="json") | {"seed": run.spec.model.seed}
    return {
        name: value if isinstance(value, str | int | float) else json.dumps(value) for name, value in parameters.items()
    }


def _data(summary: DataSummary) -> dict[str, Any]:
    """What the status says of the data."""
    return {
        "start": _instant(summary.start),
        "end": _instant(summary.end),
        "rowsRead": summary.rows_read,
        "rowsUsed": summary.rows_used,
        "segments": summary.segments,
        "fingerprint": summary.fingerprint,
    }


def _registered_metrics(
    run: TrainingRun, key: RunKey, summary: DataSummary, trained: TrainedModel, place: Place
) -> dict[str, Any]:
    """The metrics as the registry holds them: those of the model, and what tells where it comes from."""
    scaler = {"scaler_path": place.key("scaler", ".pkl")} if run.spec.model.type == "gru" else {}
    return {
        **trained.metrics,
        **scaler,
        "summary": trained.summary,
        "data": _data(summary),
        "data_fingerprint": key.fingerprint,
        "data_counts": dict(summary.counts),
        "dropped_columns": dict(summary.dropped_columns),
        "warnings": list(summary.warnings),
        "run": {
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
            "run": run.run,
            "attempt": run.attempt,
            "specHash": run.spec_hash,
            "recipe": key.recipe,
        },
    }


def _facts(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest says of the run besides its files."""
    return {name: metrics[name] for name in ("run", "data", "versions") if name in metrics}


def _model_row(run: TrainingRun, place: Place, metrics: Mapping[str, Any], summary: DataSummary) -> ModelRow:
    start, end = _period(summary)
    return ModelRow(run.spec.machine, run.spec.model.type, place.address, start, end, metrics)


def _register(
    run: TrainingRun, key: RunKey, store: ObjectStore, publication: Publication, model: ModelRow
) -> RecordedRun:
    """Register the model and let readers find it, both or neither."""
    exposed = False

    def let_readers_find_it() -> None:
        nonlocal exposed
        exposed = True
        expose(store, publication)

    try:
        return registry.save_model_metadata(key, model, let_readers_find_it)
    except TrainingError:
        if exposed:
            _withdraw(run, store, publication.place)
        raise


def _withdraw(run: TrainingRun, store: ObjectStore, place: Place) -> None:
    try:
        withdraw_unregistered(run, store, [place])
    except TrainingError as error:
        _LOG.warning("%s may be left behind; the next attempt removes it: %s", place.address, error)


def _period(summary: DataSummary) -> tuple[datetime, datetime]:
    return _datetime(summary.start), _datetime(summary.end)


def _datetime(instant: np.datetime64) -> datetime:
    return datetime.fromisoformat(_instant(instant))


def _instant(instant: np.datetime64) -> str:
    return f"{np.datetime_as_string(instant, 's')}Z"
