"""An environment for TrainingJobs: a database with simulated telemetry, a bucket, and functions to run the trainer."""

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from minio import Minio

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from trainingjob_api.hashing import spec_hash
from trainingjob_api.names import TRAINING_JOB_VARIABLE
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import TrainingRun, Window
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.process import RuntimeConfig, launch
from trainingjob_trainer.run.progress import Listener, RunProgress
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.object_store import ObjectStore as Bucket
from trainingjob_trainer.storage.postgres import create_tables, with_connection
from trainingjob_trainer.tools.simulate import simulate

MACHINE = "ITU-415"
UID = "1f0c9a3e-5d1c-4b8e-9d53-0d2a5e3c1b11"
OTHER_UID = "77777777-5d1c-4b8e-9d53-0d2a5e3c1b11"
ROWS = 3000

_SEARCH = {"nEstimators": [5, 10], "maxDepth": [3], "learningRate": [0.3], "subsample": [1]}
_SMALL: Mapping[str, Mapping[str, Any]] = {
    "xgb": {"search": _SEARCH},
    "gru": {"sequenceLength": 10, "units": [4, 3], "epochs": 2, "stepsPerEpoch": 5},
}


def small_spec(model_type: str, bucket: str, **more: Any) -> TrainingJobSpec:
    """A spec that trains in seconds."""
    model = {"type": model_type, model_type: _SMALL[model_type]}
    spec = {"machine": MACHINE, "model": model, "artifacts": {"bucket": bucket}}
    return TrainingJobSpec.model_validate_json(json.dumps(spec | more))


def as_environment(run: TrainingRun) -> dict[str, str]:
    """The environment variable in which a pod gets the run."""
    return {TRAINING_JOB_VARIABLE: run.model_dump_json(by_alias=True, exclude_unset=True)}


@dataclass(frozen=True)
class Installation:
    """Database, bucket and what is in them."""

    database: Database
    object_store: ObjectStore
    bucket: str

    @classmethod
    def create(
        cls, database: Database, object_store: ObjectStore, bucket: str, monkeypatch: pytest.MonkeyPatch
    ) -> "Installation":
        """Create the tables, fill them, and let this process find the servers by its environment."""
        for name, value in (database.environment() | object_store.environment()).items():
            monkeypatch.setenv(name, value)
        with_connection(create_tables, reason=Reason.REGISTRY_FAILED)
        sessions = list(simulate(MACHINE, start=datetime(2025, 1, 1, tzinfo=UTC), rows=ROWS, step_seconds=60))
        with_connection(
            lambda session: sum(copy_rows(session, "processed_data", frame) for frame in sessions),
            reason=Reason.DATA_UNAVAILABLE,
        )
        return cls(database, object_store, bucket)

    @staticmethod
    def training_run(spec: TrainingJobSpec, uid: str = UID, **more: Any) -> TrainingRun:
        """A run as the operator passes it to the trainer, by default the first attempt of the first run."""
        return TrainingRun(
            namespace="pumps",
            name="itu-415",
            uid=uid,
            run=more.pop("run", 1),
            attempt=more.pop("attempt", 1),
            spec_hash=spec_hash(spec.as_json()),
            window=Window(),
            accelerator_policy="Disabled",
            adopt=more.pop("adopt", True),
            spec=spec,
            **more,
        )

    def launch(self, run: TrainingRun, listeners: Sequence[Listener] = ()) -> RunResult:
        """Run the trainer like its process does."""
        return launch(run, RuntimeConfig(listeners=listeners))

    def execute(self, run: TrainingRun, patience_seconds: float, listeners: Sequence[Listener] = ()) -> RunResult:
        """Run only the stages, with a short patience for the object store."""
        from trainingjob_trainer.run.pipeline import execute

        store = Bucket.from_environment(self.object_store.environment(), self.bucket, patience_seconds)
        return execute(run, Device("CPU", 1), RunProgress(listeners), store)

    def objects(self) -> set[str]:
        """Every key in the bucket."""
        return {entry.object_name or "" for entry in self.client.list_objects(self.bucket, recursive=True)}

    def read(self, key: str) -> bytes:
        """The content of an object."""
        response = self.client.get_object(self.bucket, key)
        try:
            return response.read()
        finally:
            response.close()
            response.release_conn()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query; empty for a command."""
        with closing(self.database.connect()) as session, session, session.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    @property
    def client(self) -> Minio:
        """A client of the object store."""
        return self.object_store.client()
