"""A fleet of tiny machines: telemetry in the database, runs as the operator passes them, and workers as processes."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psycopg2

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from support.telemetry import with_events
from trainingjob_api.fleet_run import FINAL_STATES, FleetRun
from trainingjob_api.names import TRAINING_FLEET_VARIABLE
from trainingjob_trainer.fleet.process import launch_worker
from trainingjob_trainer.run.process import RuntimeConfig
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.postgres import create_tables

ROWS = 240
_EVENTS = (40, 90, 140, 180, 215)
_SEARCH = {"nEstimators": [2], "maxDepth": [2], "learningRate": [0.3], "subsample": [1]}
_XGB = {"preFailureWindowMinutes": 1, "folds": 2, "search": _SEARCH}


def fleet_spec(bucket: str, **more: Any) -> dict[str, Any]:
    """The spec of a fleet whose machines train in a fraction of a second."""
    template = {
        "model": {"type": "xgb", "xgb": _XGB},
        "data": {"minRows": 20},
        "artifacts": {"bucket": bucket},
    }
    return {"machines": {"matching": "*"}, "template": template} | more


def gru_fleet_spec(bucket: str) -> dict[str, Any]:
    """The spec of a fleet whose machines start from a base and train in a second."""
    network = {"sequenceLength": 10, "units": [4, 3], "epochs": 2, "stepsPerEpoch": 5}
    spec = fleet_spec(bucket)
    spec["template"]["model"] = {"type": "gru", "gru": network}
    return spec


def tiny_rows(machine: str, rows: int = ROWS, seed: int = 0) -> pd.DataFrame:
    """A few rows with failures."""
    frame = pd.DataFrame(with_events(rows, tuple(event for event in _EVENTS if event < rows)))
    frame["Cool_T"] += np.random.default_rng(seed).normal(0, 1, rows)
    times = np.datetime64("2025-01-01", "us") + np.arange(rows) * np.timedelta64(10, "s")
    return frame.assign(timestamp=times, motor_pump=machine)


@dataclass(frozen=True)
class Fleet:
    """Database and bucket of a fleet, and its workers."""

    database: Database
    object_store: ObjectStore
    bucket: str
    workers: "list[subprocess.Popen[str]]" = field(default_factory=list)

    @classmethod
    @contextmanager
    def created(cls, database: Database, object_store: ObjectStore, bucket: str) -> "Iterator[Fleet]":
        """An empty fleet, whose workers end with the context."""
        fleet = cls(database, object_store, bucket)
        with closing(database.connect()) as session, session:
            create_tables(session)
        try:
            yield fleet
        finally:
            for worker in fleet.workers:
                worker.kill()
                worker.wait()

    def add_machines(self, names: Sequence[str], rows: int = ROWS) -> None:
        """Telemetry of some machines."""
        with closing(self.database.connect()) as session, session:
            for number, name in enumerate(names):
                copy_rows(session, "processed_data", tiny_rows(name, rows, number))

    def environment(self) -> dict[str, str]:
        """The environment of a worker but the run."""
        return dict(os.environ) | self.database.environment() | self.object_store.environment()

    def start_worker(self, run: FleetRun, folder: Path, **variables: str) -> "subprocess.Popen[str]":
        """A worker as a process; its termination message is ``folder/NUMBER.json``, its log ``folder/NUMBER.log``."""
        number = len(self.workers)
        program = [sys.executable, "-m", "integration.trainer.fleet_worker_program", str(folder / f"{number}.json")]
        worker = subprocess.Popen(
            program,
            env=self.environment()
            | {TRAINING_FLEET_VARIABLE: run.model_dump_json(by_alias=True, exclude_unset=True)}
            | variables,
            cwd=Path(__file__).parents[2],
            stderr=(folder / f"{number}.log").open("w"),
            text=True,
        )
        self.workers.append(worker)
        return worker

    @staticmethod
    def log(folder: Path, number: int) -> str:
        """The log of a worker."""
        return (folder / f"{number}.log").read_text()

    def run_here(self, run: FleetRun) -> RunResult:
        """Take part in a run in this process, which finds the servers by its environment."""
        return launch_worker(run, RuntimeConfig(), lease_seconds=1)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query; empty for a command."""
        with closing(self.database.connect()) as session, session, session.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall() if cursor.description else []

    def states(self, run: int = 1) -> dict[str, str]:
        """The state of each machine of a run."""
        return dict(self.rows(f"SELECT machine, state FROM fleet_machines WHERE run = {run} ORDER BY machine"))

    def counts(self, run: int = 1) -> Counter[str]:
        """How many machines of a run are in each state."""
        return Counter(self.states(run).values())

    def final_machines(self) -> int:
        """How many machines of the run are final; none while the database restarts."""
        try:
            return sum(count for state, count in self.counts().items() if state in FINAL_STATES)
        except psycopg2.OperationalError:
            return 0

    def objects(self) -> set[str]:
        """Every key in the bucket."""
        client = self.object_store.client()
        return {entry.object_name or "" for entry in client.list_objects(self.bucket, recursive=True)}

    def registered(self) -> Counter[str]:
        """How many models of each machine are registered."""
        return Counter(machine for (machine,) in self.rows("SELECT machine_name FROM models"))
