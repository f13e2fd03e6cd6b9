"""Runs of fleets by workers in processes of their own, on real servers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from integration.trainer.fleets import Fleet, fleet_run, fleet_spec
from trainingjob_api.exit_codes import ExitCode


@pytest.fixture
def fleet(database: Database, object_store: ObjectStore, bucket: str) -> Iterator[Fleet]:
    fleet = Fleet(database, object_store, bucket)
    fleet.create_tables()
    yield fleet
    for worker in fleet.workers:
        worker.kill()
        worker.wait()


def test_two_workers_register_each_machine_once_and_report_the_same(fleet: Fleet, tmp_path: Path) -> None:
    names = [f"PUMP-{number}" for number in range(12)]
    fleet.add_machines(names)
    fleet.add_machines(["SHORT"], rows=5)
    run = fleet_run(fleet_spec(fleet.bucket))
    workers = [fleet.start_worker(run, tmp_path) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [ExitCode.DONE, ExitCode.DONE]
    assert fleet.states() == {name: "registered" for name in names} | {"SHORT": "failed"}
    assert fleet.registered() == dict.fromkeys(names, 1)
    first, second = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2))
    assert first == second
    assert (first["reason"], first["machines"]["registered"], first["machines"]["failed"]) == ("Completed", 12, 1)
    assert [(failure["machine"], failure["reason"]) for failure in first["failures"]] == [("SHORT", "InsufficientData")]
    assert {artifact["name"] for artifact in first["artifacts"]} == {"report", "summary"}
