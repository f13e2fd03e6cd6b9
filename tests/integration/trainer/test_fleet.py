"""Runs of fleets by workers in processes of their own, on real servers."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import wait_until
from integration.trainer.fleets import Fleet, fleet_run, fleet_spec
from trainingjob_api.exit_codes import ExitCode


@pytest.fixture
def fleet(database: Database, object_store: ObjectStore, bucket: str) -> Iterator[Fleet]:
    with Fleet.created(database, object_store, bucket) as fleet:
        yield fleet


def told(folder: Path, number: int) -> dict[str, Any]:
    """The termination message of a worker."""
    message: dict[str, Any] = json.loads((folder / f"{number}.json").read_text())
    return message


def test_two_workers_register_each_machine_once_and_report_the_same(fleet: Fleet, tmp_path: Path) -> None:
    names = [f"PUMP-{number}" for number in range(12)]
    fleet.add_machines(names)
    fleet.add_machines(["SHORT"], rows=5)
    run = fleet_run(fleet_spec(fleet.bucket))
    workers = [fleet.start_worker(run, tmp_path) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [ExitCode.DONE, ExitCode.DONE]
    assert fleet.states() == dict.fromkeys(names, "registered") | {"SHORT": "failed"}
    assert fleet.registered() == dict.fromkeys(names, 1)
    first = told(tmp_path, 0)
    assert first == told(tmp_path, 1)
    assert (first["reason"], first["machines"]["registered"], first["machines"]["failed"]) == ("Completed", 12, 1)
    assert [(failure["machine"], failure["reason"]) for failure in first["failures"]] == [("SHORT", "InsufficientData")]
    assert {artifact["name"] for artifact in first["artifacts"]} == {"report", "summary"}
    folders = fleet.rows("SELECT DISTINCT count(*) OVER () FROM fleet_tasks WHERE task LIKE 'page%'")
    assert folders == [(1,)]


def test_a_machine_that_kills_its_process_fails_and_costs_no_other(fleet: Fleet, tmp_path: Path) -> None:
    names = [f"PUMP-{number}" for number in range(4)]
    fleet.add_machines([*names, "PUMP-1-POISON"])
    run = fleet_run(fleet_spec(fleet.bucket, maxFailedPercent=20))
    codes = []
    while (code := fleet.start_worker(run, tmp_path, POISON="PUMP-1-POISON").wait()) == -signal.SIGKILL:
        codes.append(code)
    assert (code, len(codes)) == (ExitCode.DONE, 2), "two attempts of one machine end two processes"
    assert fleet.states() == dict.fromkeys(names, "registered") | {"PUMP-1-POISON": "failed"}
    (failure,) = told(tmp_path, 2)["failures"]
    assert failure["reason"] == "TrainerError"
    assert "ended 2 times without a result" in failure["message"]


def test_a_worker_that_is_asked_to_stop_gives_its_machines_back(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    run = fleet_run(fleet_spec(fleet.bucket))
    worker = fleet.start_worker(run, tmp_path, HELD="PUMP-1")
    wait_until(lambda: "PUMP-2: attempt 1" in fleet.log(tmp_path, 0), "both machines are taken")
    wait_until(lambda: "Training" in fleet.log(tmp_path, 0), "PUMP-1 is trained")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == ExitCode.STOPPED
    assert fleet.rows("SELECT state, attempt FROM fleet_machines") == [("waiting", 0)] * 2
    assert told(tmp_path, 0)["outcome"] == "Stopped"
    assert fleet.start_worker(run, tmp_path).wait() == ExitCode.DONE
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


def test_a_retry_tries_only_failed_machines_of_the_frozen_list(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1"])
    fleet.add_machines(["SHORT"], rows=5)
    spec = fleet_spec(fleet.bucket, maxFailedPercent=20)
    assert fleet.start_worker(fleet_run(spec), tmp_path).wait() == ExitCode.TOO_MANY_FAILED
    assert told(tmp_path, 0)["reason"] == "TooManyFailed"
    fleet.add_machines(["NEW"])
    fleet.rows("DELETE FROM processed_data WHERE motor_pump = 'SHORT'")
    fleet.add_machines(["SHORT"])
    again = fleet_run(spec, attempt=2)
    assert fleet.start_worker(again, tmp_path).wait() == ExitCode.TOO_MANY_FAILED
    assert fleet.states() == {"PUMP-1": "registered", "SHORT": "failed"}
    retried = fleet_run(spec, attempt=3, retryFailed=True)
    workers = [fleet.start_worker(retried, tmp_path) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [ExitCode.DONE] * 2
    assert fleet.states() == {"PUMP-1": "registered", "SHORT": "registered"}
    assert fleet.registered() == {"PUMP-1": 1, "SHORT": 1}
    assert told(tmp_path, 2)["machines"]["registered"] == 2


def test_an_equal_run_reuses_the_models_of_the_fleet(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    spec = fleet_spec(fleet.bucket)
    assert fleet.start_worker(fleet_run(spec, adopt=True), tmp_path).wait() == ExitCode.DONE
    assert fleet.start_worker(fleet_run(spec, adopt=True, run=2), tmp_path).wait() == ExitCode.DONE
    assert fleet.states(2) == {"PUMP-1": "reused", "PUMP-2": "reused"}
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


def test_a_model_that_fails_a_gate_is_rejected_and_the_run_succeeds(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1"])
    spec = fleet_spec(fleet.bucket)
    spec["template"]["gates"] = [{"metric": "auc_score", "min": 1.0}, {"metric": "average_precision", "min": 1.0}]
    assert fleet.start_worker(fleet_run(spec), tmp_path).wait() == ExitCode.DONE
    assert fleet.states() == {"PUMP-1": "rejected"}
    assert fleet.registered() == {}


def test_a_run_with_far_fewer_machines_than_the_last_one_trains_nothing(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2", "PUMP-3"])
    spec = fleet_spec(fleet.bucket)
    assert fleet.start_worker(fleet_run(spec), tmp_path).wait() == ExitCode.DONE
    fleet.rows("DELETE FROM processed_data WHERE motor_pump <> 'PUMP-1'")
    assert fleet.start_worker(fleet_run(spec, run=2), tmp_path).wait() == ExitCode.DATA
    assert told(tmp_path, 1)["reason"] == "DataUnavailable"
    assert "finds 1 machines" in told(tmp_path, 1)["message"]
    assert fleet.states(2) == {}
    spec["machines"]["minPercentOfLastRun"] = 33
    assert fleet.start_worker(fleet_run(spec, run=2), tmp_path).wait() == ExitCode.DONE


def test_hostile_names_in_the_telemetry_are_refused_one_by_one(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "<script>alert(1)</script>", "a/../b", "x" * 3000, "weights-1", "PUMP 2", "'; --"])
    assert fleet.start_worker(fleet_run(fleet_spec(fleet.bucket)), tmp_path).wait() == ExitCode.DONE
    assert fleet.states() == {"PUMP-1": "registered"}
    (warning,) = told(tmp_path, 0)["warnings"]
    assert "a/../b" in warning


@pytest.mark.parametrize(
    ("missing", "code", "reason"),
    [
        ("machine", ExitCode.DATA, "DataUnavailable"),
        ("table", ExitCode.DATA, "DataUnavailable"),
        ("bucket", ExitCode.ARTIFACT_STORE, "ArtifactStoreFailed"),
        ("ledger", ExitCode.REGISTRY, "RegistryFailed"),
    ],
)
def test_a_run_without_what_it_needs_is_refused(
    fleet: Fleet, tmp_path: Path, missing: str, code: ExitCode, reason: str
) -> None:
    spec = fleet_spec("no-such-bucket" if missing == "bucket" else fleet.bucket)
    if missing in {"table", "ledger"}:
        fleet.rows(f"DROP TABLE {'processed_data' if missing == 'table' else 'fleet_runs'}")
    assert fleet.start_worker(fleet_run(spec), tmp_path).wait() == code
    assert told(tmp_path, 0)["reason"] == reason
