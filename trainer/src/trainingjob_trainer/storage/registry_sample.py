"""A sample of the row that a run will register, to test the registration before the training."""

from datetime import datetime, timedelta
from typing import Any

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths
from trainingjob_trainer.storage.registry_rows import ModelRow

_SIZE_BYTES = 4096
"""Metrics of real runs are 2.5 to 4 KB of JSON."""


def sample_model(run: TrainingRun, paths: ArtifactPaths, period: tuple[datetime, datetime] | None = None) -> ModelRow:
    """The row that the run would register if it ended now.

    Args:
        run: The run; it has all values that are known before the training.
        paths: Paths that the run could publish to now.
        period: First and last instant of the data; None before the data are loaded. The run's window is used then, or
            one day where the window is open.
    """
    end = min(run.window.end or paths.timestamp, paths.timestamp)
    start = min(run.window.start or end, end - timedelta(days=1))
    start, end = period or (start, end)
    return ModelRow(
        machine_name=run.spec.machine,
        model_type=run.spec.model.type,
        bucket_address=paths.address,
        data_start_date=start,
        data_end_date=end,
        metrics=_metrics(run, paths),
    )


def _metrics(run: TrainingRun, paths: ArtifactPaths) -> dict[str, Any]:
    metrics: dict[str, Any] = {
        **ModelFactory.create(run.spec.model.type).sample_metrics(),
        **paths.companions,
        "features_used": ["Oil_P", "Eng_RPM"],
        "run": {"namespace": run.namespace, "name": run.name, "uid": run.uid, "run": run.run},
    }
    return metrics | {"warnings": ["x" * (_SIZE_BYTES - len(str(metrics)))]}
