"""Fleets at the command line, as users and pods start them."""

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import free_ports, wait_until
from integration.trainer.fleets import Fleet, fleet_spec
from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.names import TRAINING_FLEET_VARIABLE

PROGRAM = [sys.executable, "-m", "trainingjob_trainer"]


@pytest.fixture
def fleet(database: Database, object_store: ObjectStore, bucket: str) -> Iterator[Fleet]:
    with Fleet.created(database, object_store, bucket) as fleet:
        yield fleet


def command(fleet: Fleet, *arguments: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = fleet.environment() | variables
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], env=environment, capture_output=True, text=True, check=False
    )


def fleet_file(fleet: Fleet, folder: Path, **more: object) -> Path:
    file = folder / "fleet.yaml"
    head = {"apiVersion": "training.pumphealth.io/v1alpha1", "kind": "TrainingFleet", "metadata": {"name": "rental"}}
    file.write_text(json.dumps(head | {"spec": fleet_spec(fleet.bucket, **more)}))
    return file


def test_a_fleet_runs_without_a_cluster_and_a_second_run_reuses_its_models(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    fleet.add_machines(["SHORT"], rows=5)
    file = fleet_file(fleet, tmp_path, maxFailedPercent=40)
    checked = command(fleet, "check", "-f", file)
    assert checked.returncode == 0, checked.stderr
    first, _, short = checked.stdout.splitlines()
    assert first.split() == ["PUMP-1", *["240", "of", "240", "rows"], *first.split()[5:8], "is", "trained"]
    assert short.startswith("SHORT")
    assert "fails: InsufficientData" in short
    assert fleet.rows("SELECT count(*) FROM models") == [(0,)]
    done = command(fleet, "run", "-f", file)
    assert done.returncode == 0, done.stderr
    assert "Completed: 2 of 3 machines have their model, 1 failed." in done.stdout
    assert f"report: s3://{fleet.bucket}/runs/fleets/local-rental/" in done.stdout
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}
    assert command(fleet, "check", "-f", file).stdout.count("reuses xgb_model_PUMP-") == 2
    assert command(fleet, "run", "-f", file).returncode == 0
    assert fleet.registered() == {"PUMP-1": 1, "PUMP-2": 1}


def test_check_and_run_of_a_fleet_end_with_the_exit_codes_of_their_errors(fleet: Fleet, tmp_path: Path) -> None:
    file = fleet_file(fleet, tmp_path)
    assert command(fleet, "check", "-f", file).returncode == ExitCode.DATA, "no machine"
    fleet.add_machines(["PUMP-1"])
    fleet.add_machines(["SHORT"], rows=5)
    assert command(fleet, "check", "-f", file).returncode == ExitCode.DATA, "half of the machines cannot be trained"
    failed = command(fleet, "run", "-f", file)
    assert failed.returncode == ExitCode.TOO_MANY_FAILED
    assert "error: TooManyFailed: 1 of 2 machines failed" in failed.stderr
    assert "SHORT" in failed.stdout
    wrong = fleet_file(fleet, tmp_path, workers=0)
    for name in ("check", "run"):
        refused = command(fleet, name, "-f", wrong)
        assert refused.returncode == ExitCode.CONFIGURATION
        assert "spec.workers" in refused.stderr


def test_the_worker_of_a_pod_takes_its_run_from_the_environment(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1"])
    told, run = tmp_path / "told.json", fleet_run(fleet_spec(fleet.bucket))
    variables = {TRAINING_FLEET_VARIABLE: run.model_dump_json(by_alias=True, exclude_unset=True)}
    (port,) = free_ports(1)
    done = command(fleet, "work", "--termination-log", told, "--metrics-port", str(port), **variables)
    assert done.returncode == 0, done.stderr
    facts = json.loads(told.read_text())
    assert (facts["uid"], facts["run"], facts["attempt"], facts["outcome"]) == (run.uid, 1, 1, "Succeeded")


def test_a_worker_serves_the_states_of_the_machines(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-2"])
    (port,) = free_ports(1)
    run = fleet_run(fleet_spec(fleet.bucket, retriesPerMachine=0))
    worker = fleet.start_worker(run, tmp_path, HELD="PUMP-1", FLEET_METRICS_PORT=str(port))
    name = 'trainingjob_fleet_machines{state="running"}'
    wait_until(lambda: served(port).get(name) == 1, "a machine is trained")
    metrics = served(port)
    counts = {state: metrics[f'trainingjob_fleet_machines{{state="{state}"}}'] for state in ("selected", "waiting")}
    assert counts == {"selected": 2, "waiting": 1}
    assert metrics["trainingjob_progress_ratio"] == 0
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == ExitCode.STOPPED


def served(port: int) -> dict[str, float]:
    """The metrics that a worker serves."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_a_worker_with_an_invalid_run_writes_a_termination_message(fleet: Fleet, tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = command(fleet, "work", "--termination-log", told, TRAINING_FLEET='{"uid": 3}')
    assert done.returncode == ExitCode.CONFIGURATION
    facts = json.loads(told.read_text())
    assert (facts["outcome"], facts["reason"]) == ("Failed", "InvalidConfiguration")
    assert "TRAINING_FLEET" in facts["message"]
