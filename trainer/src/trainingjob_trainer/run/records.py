"""What a run leaves in the registry, in the manifest and in the status, from its data and its model."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import Dataset, DataSummary, TrainedModel
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths
from trainingjob_trainer.storage.registry_rows import ModelRow, RunKey


def data_section(summary: DataSummary) -> dict[str, Any]:
    """The data section of the status."""
    return {
        "start": _instant(summary.start),
        "end": _instant(summary.end),
        "rowsRead": summary.rows_read,
        "rowsUsed": summary.rows_used,
        "segments": summary.segments,
        "fingerprint": summary.fingerprint,
    }


def registered_metrics(
    run: TrainingRun, key: RunKey, dataset: Dataset, trained: TrainedModel, paths: ArtifactPaths
) -> dict[str, Any]:
    """The metrics for the registry: those of the model, and its origin."""
    summary, train_end = dataset.summary, dataset.timestamps[dataset.test_start - 1]
    return {
        **trained.metrics,
        **paths.companions,
        "summary": trained.summary,
        "data": {**data_section(summary), "trainEnd": f"{np.datetime_as_string(train_end, 'us')}Z"},
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
            "recipe": key.trainer_revision,
        },
    }


def manifest_facts(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The content of the manifest besides the files."""
    return {name: metrics[name] for name in ("run", "data", "versions") if name in metrics}


def model_row(run: TrainingRun, paths: ArtifactPaths, metrics: Mapping[str, Any], summary: DataSummary) -> ModelRow:
    """The row of a model for readers."""
    start, end = period_of(summary)
    return ModelRow(run.spec.machine, run.spec.model.type, paths.address, start, end, metrics)


def period_of(summary: DataSummary) -> tuple[datetime, datetime]:
    """The first and the last instant of the data, UTC."""
    return _datetime(summary.start), _datetime(summary.end)


def _datetime(instant: np.datetime64) -> datetime:
    return datetime.fromisoformat(_instant(instant))


def _instant(instant: np.datetime64) -> str:
    return f"{np.datetime_as_string(instant, 's')}Z"
