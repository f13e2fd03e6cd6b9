"""Which machines of a fleet are trained again: ``spec.retrain`` and what is known of the registered model.

A ``gru`` is judged by age, new rows and error; an ``xgb`` by age and new rows, because failures are too rare for its
error on a few fresh rows to say anything.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from trainingjob_api.fleet_spec import Retrain
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import TrainingRun, Window
from trainingjob_trainer.data.columns import ANALOGUE_OF, is_derived
from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.comparison import MINIMUM_FRESH_ROWS, IncomparableError
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.storage.artifact_paths import ArtifactPaths
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.registered_model import newest_registered, read_registered
from trainingjob_trainer.storage.registered_rows import registered_row
from trainingjob_trainer.storage.registry_rows import ModelRow
from trainingjob_trainer.storage.telemetry import RowCounts, count_rows

_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a registered model.

    Attributes:
        age_days: Days since its registration.
        new_rows: Rows of the run's window after its data.
        error_ratio: RMSE relative to that of persistence on running rows after its data, divided by the same at its
            registration; None where too little is known to say.
    """

    age_days: float
    new_rows: int
    error_ratio: float | None = None


@dataclass(frozen=True)
class Fresh:
    """A machine whose registered model is kept.

    Attributes:
        message: Why, as a complete sentence.
        model: Its row in the registry.
        registered_at: When it was registered, UTC.
    """

    message: str
    model: ModelRow
    registered_at: datetime


@dataclass(frozen=True)
class Due:
    """A machine that is trained; the message is a complete sentence that says why."""

    message: str


def needs_training(retrain: Retrain, facts: ModelFacts) -> str | None:
    """Why a machine with a registered model is trained again; None when no condition holds."""
    if retrain.older_than_days is not None and facts.age_days > retrain.older_than_days:
        return f"Its model is {facts.age_days:.1f} days old; olderThanDays is {retrain.older_than_days}."
    if retrain.new_rows is not None and facts.new_rows >= retrain.new_rows:
        return f"{facts.new_rows:,} rows are newer than the data of its model; newRows is {retrain.new_rows:,}."
    ratio = facts.error_ratio
    if retrain.error_ratio is not None and ratio is not None and ratio > retrain.error_ratio:
        return (
            f"The error of its model relative to persistence is {ratio:.2f} times that at its registration; errorRatio "
            f"is {retrain.error_ratio:g}."
        )
    return None


def examine(
    run: TrainingRun, retrain: Retrain, store: ObjectStore, dataset: Callable[[], Dataset], now: datetime
) -> Fresh | Due:
    """Decide whether a machine is trained, from its newest registered model and the rows after the data of it.

    "After" starts at the end of the model's data rather than at its registration, so that rows count that arrived late.

    Args:
        run: The run of the machine.
        retrain: The conditions of the fleet.
        store: Where registered models are; only their safe files are read.
        dataset: Returns the prepared data of the run. It is called only where the error must be measured.
        now: The time by which the age counts.

    Raises:
        TrainingError: DataUnavailable when a sensor that the model uses has sent no value since, or the table cannot
            be used; RegistryFailed, ArtifactStoreFailed, and what ``dataset`` raises.
    """
    paths = newest_registered(run.spec.machine, run.spec.model.type)
    model = registered_row(paths.address) if paths else None
    if paths is None or model is None:
        return Due("It has no registered model.")
    counts = count_rows(run.spec, _after(model.data_end_date, run.window))
    _refuse_silent_sensors(run.spec, model, counts)
    facts = ModelFacts((now - paths.timestamp).total_seconds() / _SECONDS_PER_DAY, counts.rows)
    why = needs_training(retrain, facts)
    before = _relative_error(model.metrics, "_running") or _relative_error(model.metrics, "")
    if before is None and retrain.older_than_days is None and retrain.new_rows is None:
        return Due(
            "The registry has no error relative to persistence of its model, and errorRatio is the only condition."
        )
    if why is None and before and retrain.error_ratio is not None and counts.running >= MINIMUM_FRESH_ROWS:
        try:
            facts = replace(facts, error_ratio=_error_ratio(paths, model, before, store, dataset))
        except IncomparableError as error:
            return Due(f"Its model cannot be judged: {error}.")
        why = needs_training(retrain, facts)
    return Due(why) if why else Fresh(_sentence(facts), model, paths.timestamp)


def _after(data_end: datetime, window: Window) -> Window:
    # The registry has whole seconds of the last instant.
    start = data_end + timedelta(seconds=1)
    return Window(start=max(start, window.start) if window.start else start, end=window.end)


def _refuse_silent_sensors(spec: TrainingJobSpec, model: ModelRow, counts: RowCounts) -> None:
    silent = sorted(_silent_sensors(spec, model.metrics, counts))
    if silent:
        raise TrainingError(
            Reason.DATA_UNAVAILABLE,
            f"machine {spec.machine}: {', '.join(silent)} has no value in the {counts.running:,} rows with the engine "
            f"running since {model.data_end_date:%Y-%m-%d %H:%M} UTC, and {model.bucket_address} uses it. The model "
            "is kept. Repair the sensor, or set features without it.",
        )


def _silent_sensors(spec: TrainingJobSpec, metrics: Mapping[str, Any], counts: RowCounts) -> Iterator[str]:
    """Columns of a model, and still of the spec, without any value in enough running rows."""
    if counts.running < MINIMUM_FRESH_ROWS:
        return
    used = {*metrics.get("features_used", ()), *metrics.get("health_ranges", ())}
    for name in used & ModelFactory.create(spec.model.type).sensors(spec):
        sources = {spec.data.columns.get(name, name), ANALOGUE_OF.get(name)} & counts.values.keys()
        if sources and not is_derived(name) and not any(counts.values[source] for source in sources):
            yield name


def _error_ratio(
    paths: ArtifactPaths, model: ModelRow, before: float, store: ObjectStore, dataset: Callable[[], Dataset]
) -> float | None:
    registered = read_registered(store, paths)
    end = np.datetime64(model.data_end_date.astimezone(UTC).replace(tzinfo=None), "us") + np.timedelta64(1, "s")
    errors = ModelFactory.create(paths.model_type).fresh_errors(dataset(), registered, end)
    if errors is None or not errors.rmse_persistence > 0:
        return None
    ratio = errors.rmse / errors.rmse_persistence / before
    return ratio if math.isfinite(ratio) else None


def _relative_error(metrics: Mapping[str, Any], rows: str) -> float | None:
    """RMSE relative to that of persistence at registration; None where either is absent or 0."""
    rmse, persistence = metrics.get(f"rmse{rows}"), metrics.get(f"rmse_persistence{rows}")
    return rmse / persistence if rmse and persistence else None


def _sentence(facts: ModelFacts) -> str:
    text = f"Its model is {facts.age_days:.1f} days old, and {facts.new_rows:,} rows are newer than its data"
    if facts.error_ratio is None:
        return f"{text}."
    return f"{text}; its error relative to persistence is {facts.error_ratio:.2f} times that at its registration."
