"""The progress of a run: that of its workers combined, and its fields in the status. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from trainingjob_api.text import timestamp
from trainingjob_operator.core.fleet_status import count_fields
from trainingjob_operator.core.machines import count_final
from trainingjob_operator.core.parent import JSON, Parent, TrainingFleet
from trainingjob_operator.core.snapshot import Progress


def most_advanced(progress: Iterable[Progress]) -> Progress | None:
    """The progress of the worker that knows most: all workers report the same run, but not at the same time."""
    return max(progress, key=lambda each: (count_final(each.machines or {}), each.ratio or 0.0), default=None)


def progress_fields(parent: Parent, progress: Progress) -> dict[str, Any]:
    """The fields of the status that show the progress; empty if they would show nothing new."""
    fields: dict[str, Any] = {"progress": _progress(parent, progress)}
    if progress.machines:
        fields |= count_fields(progress.machines)
    return {} if _shown({**parent.status, **fields}) == _shown(parent.status) else fields


def _progress(parent: Parent, progress: Progress) -> dict[str, Any]:
    percentage = None if progress.ratio is None else int(100 * min(max(progress.ratio, 0.0), 1.0))
    fields: dict[str, Any] = {
        "percentage": percentage,
        "display": None if percentage is None else f"{percentage}%",
        "estimatedCompletionTime": progress.completion and timestamp(progress.completion),
        "lastReportTime": timestamp(progress.time),
    }
    if not isinstance(parent, TrainingFleet):
        metrics = {"loss": progress.loss, "valLoss": progress.validation_loss}
        fields |= {
            "stage": progress.stage,
            "epoch": progress.epoch,
            "epochs": progress.epochs,
            "metrics": {name: value for name, value in metrics.items() if value is not None} or None,
        }
    return {name: value for name, value in fields.items() if value is not None}


def _shown(status: JSON) -> JSON:
    """The fields that change only if the training advances."""
    progress = status.get("progress") or {}
    kept = {key: value for key, value in progress.items() if key not in {"lastReportTime", "estimatedCompletionTime"}}
    return {"progress": kept, "machines": status.get("machines")}
