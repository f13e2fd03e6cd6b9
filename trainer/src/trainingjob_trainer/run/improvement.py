"""The metric ``improvement``: how much better a model is than the newest registered one of its machine and type."""

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

from trainingjob_api.metrics import IMPROVEMENT
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import Dataset, TrainedModel
from trainingjob_trainer.models.base import ModelType
from trainingjob_trainer.models.comparison import Comparison, IncomparableError, RegisteredModel
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.registered_model import read_newest_model

_DIGITS = 6
"""Predictions of equal models differ in the last bits when two programs compute them; ``min: 0`` must still pass."""


def model_to_beat(run: TrainingRun, store: ObjectStore) -> RegisteredModel | str | None:
    """Read the registered model that this run is compared with.

    Returns:
        None when no gate needs it; a text that says why there is nothing to compare with.

    Raises:
        TrainingError: RegistryFailed or ArtifactStoreFailed.
    """
    if all(gate.metric != IMPROVEMENT for gate in run.spec.gates):
        return None
    try:
        return read_newest_model(store, run.spec.machine, run.spec.model.type)
    except IncomparableError as error:
        return str(error)


def with_improvement(
    trained: TrainedModel,
    registered: RegisteredModel | str | None,
    model_type: ModelType[Any],
    dataset: Dataset,
    spec: TrainingJobSpec,
) -> TrainedModel:
    """Add the comparison with the registered model to the metrics and to the report.

    Args:
        trained: The new model.
        registered: As ``model_to_beat`` returned it.
        model_type: The type of both models.
        dataset: The data of the new model.
        spec: That of the new model.
    """
    if registered is None:
        return trained
    if isinstance(registered, str):
        return _without_improvement(trained, registered)
    try:
        comparison = model_type.compare(dataset, spec, trained, registered)
    except IncomparableError as error:
        return _without_improvement(trained, str(error))
    # The timestamp may lie in the future: an occupied one is moved on, and clocks differ.
    days = max(0, (datetime.now(UTC) - registered.registered_at).days)
    metrics = {
        **trained.metrics,
        # Adding 0.0 turns -0.0 into 0.0.
        IMPROVEMENT: round(comparison.improvement, _DIGITS) + 0.0,
        "compared_with": {"bucket_address": registered.address, "age_days": days, **asdict(comparison)},
    }
    report = {**trained.report, "comparison": _sentence(registered, days, comparison)}
    return replace(trained, metrics=metrics, report=report)


def _without_improvement(trained: TrainedModel, reason: str) -> TrainedModel:
    note = f"The gate on {IMPROVEMENT} passes without a comparison: {reason}."
    notes = [*trained.metrics.get("notes", ()), note]
    return replace(trained, metrics={**trained.metrics, IMPROVEMENT: None, "notes": notes})


def _sentence(registered: RegisteredModel, days: int, comparison: Comparison) -> str:
    ago = "today" if days < 1 else f"{days} day{'s' if days > 1 else ''} ago"
    return (
        f"Compared with {registered.address}, registered {ago}, on {comparison.count:,} {comparison.unit} after the "
        f"data that it was trained on: {comparison.metric} {comparison.new:.4g} against {comparison.registered:.4g}."
    )
