"""Runs of fleets by workers in processes of their own, on real servers."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from cluster.processes import wait_until
from integration.trainer.fleets import Fleet, fleet_spec, gru_fleet_spec
from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode


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
    assert (told(tmp_path, 0)["outcome"], told(tmp_path, 0)["machines"]["selected"]) == ("Stopped", 2)
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


def test_an_equal_run_reuses_the_models_of_the_fleet(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    spec = fleet_spec(fleet.bucket)
    assert fleet.run_here(fleet_run(spec, adopt=True)).reason == "Completed"
    assert fleet.run_here(fleet_run(spec, adopt=True, run=2)).reason == "Completed"
    assert fleet.states(2) == {"PUMP-1": "reused", "PUMP-2": "reused"}
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


def test_a_model_that_fails_a_gate_is_rejected_and_the_run_succeeds(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1"])
    spec = fleet_spec(fleet.bucket)
    spec["template"]["gates"] = [{"metric": "average_precision", "min": 1.0}]
    assert fleet.run_here(fleet_run(spec)).exit_code is ExitCode.DONE
    assert fleet.states() == {"PUMP-1": "rejected"}
    assert fleet.registered() == {}


def test_a_machine_whose_model_is_young_is_left_as_fresh(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1"])
    spec = fleet_spec(fleet.bucket, retrain={"olderThanDays": 7})
    assert fleet.run_here(fleet_run(spec)).summary.machines["registered"] == 1
    fleet.add_machines(["PUMP-2"])
    result = fleet.run_here(fleet_run(spec, run=2))
    assert fleet.states(2) == {"PUMP-1": "fresh", "PUMP-2": "registered"}
    assert result.summary.summary.startswith("2 of 2")
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


def test_a_run_with_far_fewer_machines_than_the_last_one_trains_nothing(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2", "PUMP-3"])
    spec = fleet_spec(fleet.bucket)
    assert fleet.run_here(fleet_run(spec)).exit_code is ExitCode.DONE
    fleet.rows("DELETE FROM processed_data WHERE motor_pump <> 'PUMP-1'")
    refused = fleet.run_here(fleet_run(spec, run=2))
    assert (refused.exit_code, refused.reason) == (ExitCode.DATA, "DataUnavailable")
    assert "finds 1 machines" in refused.message
    assert fleet.states(2) == {}
    spec["machines"]["minPercentOfLastRun"] = 33
    assert fleet.run_here(fleet_run(spec, run=2)).exit_code is ExitCode.DONE


def test_hostile_names_in_the_telemetry_are_refused_one_by_one(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1", "<script>alert(1)</script>", "a/../b", "x" * 2000, "weights-1", "PUMP 2", "'; --"])
    result = fleet.run_here(fleet_run(fleet_spec(fleet.bucket)))
    assert result.exit_code is ExitCode.DONE
    assert fleet.states() == {"PUMP-1": "registered"}
    (warning,) = result.summary.warnings
    assert "a/../b" in warning


def test_machines_are_found_in_a_table_without_an_index(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    fleet.rows("CREATE VIEW telemetry AS SELECT * FROM processed_data")
    spec = fleet_spec(fleet.bucket)
    spec["template"]["data"]["table"] = "telemetry"
    assert fleet.run_here(fleet_run(spec)).exit_code is ExitCode.DONE
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


@pytest.mark.parametrize(
    ("missing", "code", "reason"),
    [
        ("machine", ExitCode.DATA, "DataUnavailable"),
        ("table", ExitCode.DATA, "DataUnavailable"),
        ("bucket", ExitCode.ARTIFACT_STORE, "ArtifactStoreFailed"),
        ("ledger", ExitCode.REGISTRY, "RegistryFailed"),
    ],
)
def test_a_run_without_what_it_needs_is_refused(fleet: Fleet, missing: str, code: ExitCode, reason: str) -> None:
    spec = fleet_spec("no-such-bucket" if missing == "bucket" else fleet.bucket)
    if missing in {"table", "ledger"}:
        fleet.rows(f"DROP TABLE {'processed_data' if missing == 'table' else 'fleet_runs'}")
    refused = fleet.run_here(fleet_run(spec))
    assert (refused.exit_code, refused.reason) == (code, reason)


def test_the_machines_of_a_gru_fleet_start_from_a_base_that_is_trained_once(fleet: Fleet, tmp_path: Path) -> None:
    names = [f"PUMP-{number}" for number in range(4)]
    fleet.add_machines(names, rows=1500)
    run = fleet_run(gru_fleet_spec(fleet.bucket))
    workers = [fleet.start_worker(run, tmp_path) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [ExitCode.DONE] * 2, fleet.log(tmp_path, 0)
    assert fleet.states() == dict.fromkeys(names, "registered")
    assert fleet.rows("SELECT attempt FROM fleet_tasks WHERE task = 'base'") == [(1,)]
    fingerprints = fleet.rows("SELECT DISTINCT metrics->'base'->>'fingerprint' FROM models")
    assert len(fingerprints) == 1
    assert fingerprints[0][0]
    assert {key.rpartition("/")[2] for key in fleet.objects() if key.startswith("runs/fleets/")} == {
        "base.h5",
        "base.json",
        "report.html",
        "summary.json",
    }


def test_a_fleet_without_a_base_trains_each_machine_on_its_own_and_says_so(fleet: Fleet) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"], rows=300)
    result = fleet.run_here(fleet_run(gru_fleet_spec(fleet.bucket)))
    assert result.exit_code is ExitCode.DONE
    assert fleet.states() == {"PUMP-1": "registered", "PUMP-2": "registered"}
    assert any("without a base" in warning for warning in result.summary.warnings)
