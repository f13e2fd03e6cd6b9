"""The page of a run: the first worker that takes its lease stores it, the others wait for it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from trainingjob_api.fleet_run import FleetRun, MachineState
from trainingjob_api.text import instant
from trainingjob_trainer.fleet.base import base_note
from trainingjob_trainer.fleet.context import WorkerContext
from trainingjob_trainer.fleet.decisions.machines import machine_uid
from trainingjob_trainer.report.fleet import FleetSummary, MachineRow, fleet_json
from trainingjob_trainer.report.fleet_page import fleet_page
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths, registered_paths
from trainingjob_trainer.storage.ledger_rows import MachineEntry
from trainingjob_trainer.storage.object_store import ObjectStore, sha256
from trainingjob_trainer.storage.registered_model import newest_registered
from trainingjob_trainer.storage.registered_rows import registered_row
from trainingjob_trainer.storage.registry import find_runs
from trainingjob_trainer.storage.registry_rows import RecordedRun


def obtain_page(worker: WorkerContext) -> Mapping[str, Any]:
    """Store the page of the run whose machines are all final, or wait until another worker has done so.

    Returns:
        ``summary`` and ``artifacts`` as in the termination message, and ``notes`` that concern the whole run.

    Raises:
        TrainingError: Suspended; the error of a server that is not available for long.
    """
    return worker.once(f"page-{worker.fleet.attempt}", lambda attempt: worker.patiently(_store_page, worker))


def _store_page(worker: WorkerContext) -> dict[str, Any]:
    page_key, data_key = f"{worker.folder}report.html", f"{worker.folder}summary.json"
    summary = _summary(worker, worker.store.uri(page_key))
    artifacts = []
    for name, key, content, content_type in (
        ("report", page_key, fleet_page(summary), "text/html; charset=utf-8"),
        ("summary", data_key, fleet_json(summary), "application/json"),
    ):
        worker.store.put(key, content, content_type)
        uri = worker.store.uri(key)
        artifacts.append({"name": name, "uri": uri, "sha256": sha256(content), "sizeBytes": len(content)})
    return {"summary": summary.line, "artifacts": artifacts, "notes": list(summary.notes)}


def _summary(worker: WorkerContext, page_uri: str) -> FleetSummary:
    fleet, entries, note = worker.fleet, worker.ledger.entries(), base_note(worker.ledger)
    uids = {entry.machine: machine_uid(fleet.uid, entry.machine) for entry in entries}
    recorded = {run.uid: run for run in find_runs(uids.values(), fleet.run)}
    return FleetSummary(
        namespace=fleet.namespace,
        name=fleet.name,
        uid=fleet.uid,
        run=fleet.run,
        attempt=fleet.attempt,
        model_type=fleet.spec.template.model.type,
        window=fleet.window,
        started=worker.frozen.frozen_at,
        completed=max((entry.finished_at for entry in entries if entry.finished_at), default=datetime.now(UTC)),
        machines=[_row(entry, recorded.get(uids[entry.machine]), fleet, worker.store) for entry in entries],
        notes=[*worker.frozen.notes, *([note] if note else [])],
        page_uri=page_uri,
    )


def _row(entry: MachineEntry, recorded: RecordedRun | None, fleet: FleetRun, store: ObjectStore) -> MachineRow:
    model = _model_paths(entry, fleet.spec.template.model.type)
    metrics: Mapping[str, Any] = recorded.metrics if recorded else {}
    if recorded is None and model is not None and entry.state is MachineState.FRESH:
        kept = registered_row(model.address)
        metrics = kept.metrics if kept else {}
    data = metrics.get("data") or {}
    report = f"{model.folder}report.html" if model else ""
    if recorded is not None and recorded.outcome == "rejected":
        report = f"{recorded.bucket_address.rpartition('/')[0]}/report.html"
    seconds = (entry.finished_at - entry.started_at).total_seconds() if entry.finished_at and entry.started_at else None
    return MachineRow(
        machine=entry.machine,
        state=entry.state,
        reason=entry.reason or "",
        message=entry.message,
        summary=entry.summary,
        metrics=metrics,
        rows=data.get("rowsUsed"),
        data_start=instant(data.get("start")),
        data_end=instant(data.get("end")),
        registered_at=model.timestamp if model else None,
        bucket_address=model.address if model else "",
        report_uri=store.uri(report) if report else "",
        attempts=entry.attempt,
        seconds=seconds,
    )


def _model_paths(entry: MachineEntry, model_type: str) -> ArtifactPaths | None:
    """The model that a machine has now: that of the run, or an earlier one."""
    if entry.bucket_address is None:
        return newest_registered(entry.machine, model_type)
    try:
        return registered_paths(entry.bucket_address, entry.machine, model_type)
    except ValueError:
        return None
