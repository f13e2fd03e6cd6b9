"""The rows of the registry, as plain data."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Outcome = Literal["registered", "rejected", "adopted"]


@dataclass(frozen=True)
class RunKey:
    """Identifies a run (``uid``, ``run``), and decides which runs are equal (the other attributes).

    Attributes:
        uid: UID of the TrainingJob; with ``run`` the primary key of ``training_runs``.
        run: Number of the run of the TrainingJob, from 1.
        spec_hash: Equal for runs that train the same model on the same selection of data.
        trainer_revision: Revision of the training method; models of different revisions are not equal.
        fingerprint: Fingerprint of the telemetry.
    """

    uid: str
    run: int
    spec_hash: str
    trainer_revision: int
    fingerprint: str


@dataclass(frozen=True)
class RecordedRun:
    """A row of ``training_runs``.

    Attributes:
        uid: UID of the TrainingJob; with ``run`` the primary key.
        run: Number of the run of the TrainingJob, from 1.
        outcome: How the run ended.
        bucket_address: Key of the model's object, without the bucket.
        model_id: The id of its row in ``models``; None when that table has no id, or the model was rejected.
        metrics: The registered metrics.
    """

    uid: str
    run: int
    outcome: Outcome
    bucket_address: str
    model_id: str | None
    metrics: Mapping[str, Any]


@dataclass(frozen=True)
class ModelRow:
    """A row of ``models``. Readers depend on the column names.

    Attributes:
        machine_name: The machine.
        model_type: ``gru`` or ``xgb``.
        bucket_address: Key of the model's object, without the bucket.
        data_start_date: First instant of the data used.
        data_end_date: Last instant of the data used.
        metrics: Strict JSON: no number in it is infinite or NaN.
    """

    machine_name: str
    model_type: str
    bucket_address: str
    data_start_date: datetime
    data_end_date: datetime
    metrics: Mapping[str, Any]
