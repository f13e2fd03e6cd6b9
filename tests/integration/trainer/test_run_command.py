"""The command line as a process on real servers, as users and pods run it."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from cluster.object_store import ObjectStore
from cluster.postgres import Database
from cluster.processes import free_ports, wait_until
from integration.trainer.installation import MACHINE, Installation, as_environment, small_spec
from support.training_job_documents import RIGHT, WRONG
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.spec import TrainingJobSpec

Environment = dict[str, str]


@pytest.fixture
def servers(database: Database, object_store: ObjectStore) -> Environment:
    return dict(os.environ) | database.environment() | object_store.environment()


def command(environment: Environment, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "trainingjob_trainer", *map(str, arguments)]
    return subprocess.run(program, env=environment, capture_output=True, text=True, check=False)


def epochs_shown(port: int) -> float:
    """Epochs that the metrics endpoint shows."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        lines = response.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("trainingjob_epoch "))


def training_job(path: Path, spec: dict[str, Any]) -> Path:
    job = {"apiVersion": "training.pumphealth.io/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "itu-415"}}
    path.write_text(json.dumps(job | {"spec": spec}))
    return path


def test_the_command_line_registers_a_model_from_an_empty_database(
    servers: Environment, object_store: ObjectStore, database: Database, tmp_path: Path
) -> None:
    bucket = "made-on-the-command-line"
    for _ in range(2):
        assert command(servers, "init-db", "--bucket", bucket).returncode == 0
    simulated = command(servers, "simulate", "--machine", MACHINE, "--rows", "3000", "--step", "60")
    assert simulated.returncode == 0, simulated.stderr
    spec = small_spec("xgb", bucket).as_json()
    job = training_job(tmp_path / "job.yaml", spec)
    checked = command(servers, "check", "--file", job)
    assert (checked.returncode, MACHINE in checked.stdout) == (0, True), checked.stderr
    told = tmp_path / "told.json"
    done = command(servers, "run", "--file", job, "--termination-log", told)
    assert done.returncode == 0, done.stderr
    assert json.loads(told.read_text())["reason"] == "Completed"
    assert "auc_score" in done.stdout
    with database.connect() as session, session.cursor() as rows:
        rows.execute("SELECT count(*) FROM models")
        assert rows.fetchall() == [(1,)]
    object_store.drop_bucket(bucket)


def test_import_reads_a_file_of_simulated_telemetry(servers: Environment, tmp_path: Path) -> None:
    file = tmp_path / "telemetry.csv"
    assert (
        command(servers, "simulate", "--machine", "A", "--machine", "B", "--rows", "500", "--csv", file).returncode == 0
    )
    assert command(servers, "init-db").returncode == 0
    assert command(servers, "import", file).returncode == 0
    again = command(servers, "import", file)
    assert (again.returncode, again.stdout) == (ExitCode.DATA, "")
    assert "1000 of its 1000 rows are already in processed_data" in again.stderr
    skipped = command(servers, "import", "--existing", "skip", file)
    assert skipped.stdout.splitlines() == [
        "A: 0 rows imported into processed_data; 500 rows skipped, already in the table",
        "B: 0 rows imported into processed_data; 500 rows skipped, already in the table",
    ]
    file.write_text(file.read_text().replace(",A,", ",A,N/A", 1))
    assert command(servers, "import", file).returncode == ExitCode.DATA


@pytest.mark.parametrize("option", ["--machine=ITU 415", "--machine=weights-1", "--start=1969-12-31"])
def test_too_few_simulated_rows_for_a_training_are_refused(servers: Environment, tmp_path: Path, option: str) -> None:
    refused = command(servers, "simulate", "--machine", "A", option, "--csv", tmp_path / "telemetry.csv")
    assert refused.returncode == 2
    assert option.partition("=")[0] in refused.stderr


def test_a_csv_file_that_cannot_be_written_is_reported_without_traceback(servers: Environment, tmp_path: Path) -> None:
    refused = command(servers, "simulate", "--machine", "A", "--csv", tmp_path / "absent" / "telemetry.csv")
    assert refused.returncode == ExitCode.CONFIGURATION
    assert refused.stderr.startswith("error: InvalidConfiguration: ")


def test_a_pod_with_an_invalid_training_job_writes_a_termination_message(servers: Environment, tmp_path: Path) -> None:
    told = tmp_path / "termination-log"
    done = command(servers | {"TRAINING_JOB": '{"uid": 3}'}, "run", "--termination-log", told)
    assert done.returncode == ExitCode.CONFIGURATION
    facts = json.loads(told.read_text())
    assert (facts["outcome"], facts["reason"], facts["exitCode"]) == ("Failed", "InvalidConfiguration", 10)
    assert "specHash" in facts["message"]
    last = json.loads(done.stderr.splitlines()[-1])
    assert (last["level"], last["message"]) == ("ERROR", f"InvalidConfiguration: {facts['message']}")


def test_the_log_of_a_failed_pod_is_json_and_ends_with_the_reason(
    servers: Environment, bucket: str, tmp_path: Path
) -> None:
    assert command(servers, "init-db").returncode == 0
    run = Installation.training_run(small_spec("xgb", bucket))
    environment = servers | as_environment(run)
    failed = command(environment, "run", "--termination-log", tmp_path / "told", "--metrics-port", "0")
    assert failed.returncode == ExitCode.DATA, failed.stderr
    lines = [json.loads(line) for line in failed.stderr.splitlines()]
    assert {(line["namespace"], line["trainingjob"], line["run"], line["attempt"]) for line in lines} == {
        ("pumps", "itu-415", 1, 1)
    }
    facts = json.loads((tmp_path / "told").read_text())
    assert lines[-1]["message"] == f"{facts['reason']}: {facts['message']}"


def test_an_invalid_trainingjob_file_is_refused_with_the_field(servers: Environment, tmp_path: Path) -> None:
    job = training_job(tmp_path / "job.yaml", {"machine": "PUMP-1", "model": {"type": "svm"}})
    refused = command(servers, "run", "--file", job)
    assert refused.returncode == ExitCode.CONFIGURATION
    assert "model.type" in refused.stderr


def test_a_terminal_shows_every_retry(
    servers: Environment, object_store: ObjectStore, bucket: str, tmp_path: Path
) -> None:
    spec = small_spec("xgb", bucket).as_json()
    job = training_job(tmp_path / "job.yaml", spec)
    (port,) = free_ports(1)
    environment = {name: value for name, value in servers.items() if name != "PGHOST"} | {"PGPORT": str(port)}
    terminal, end = pty.openpty()
    program = [sys.executable, "-m", "trainingjob_trainer", "run", "--file", job]
    process = subprocess.Popen(program, env=environment | {"TERM": "xterm"}, stdin=end, stdout=end, stderr=end)
    os.close(end)
    shown = ""
    try:
        while "try 2 failed, next try in" not in shown:
            shown += os.read(terminal, 4096).decode(errors="replace")
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    before_the_first_failure = shown[: shown.index("try 1 failed")]
    assert f"on this machine (PGHOST is not set), port {port}" in " ".join(before_the_first_failure.split())


@pytest.mark.parametrize("name", ["check", "run"])
def test_each_error_is_one_line_in_a_terminal_of_any_width(servers: Environment, tmp_path: Path, name: str) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(WRONG["a name that is a number"][0].replace("machine: M", "machine: a_machine_with_weights"))
    refused = command(servers | {"COLUMNS": "20"}, name, "--file", file)
    assert (refused.returncode, refused.stdout) == (ExitCode.CONFIGURATION, "")
    assert refused.stderr.splitlines() == [
        "error: InvalidConfiguration: metadata.name: must be text, not the number 415: put it in quotes",
        "error: InvalidConfiguration: spec.machine: must not contain 'weights', which readers of the model replace in "
        "object names",
    ]


@pytest.mark.parametrize("name", ["check", "run"])
def test_a_file_in_another_encoding_is_named_without_a_traceback(
    servers: Environment, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(RIGHT["the shortest"], encoding="utf-16")
    refused = command(servers, name, "--file", file)
    assert refused.returncode == ExitCode.CONFIGURATION
    assert refused.stderr.startswith("error: InvalidConfiguration: The file is not YAML in UTF-8; it is UTF-16 text")
    assert len(refused.stderr.splitlines()) == 1


def test_a_missing_file_is_named_on_one_line(servers: Environment, tmp_path: Path) -> None:
    file = tmp_path / "a-folder-that-is-nowhere" / "training-job.yaml"
    for arguments in (("check", "--file"), ("run", "--file"), ("import",)):
        refused = command(servers | {"COLUMNS": "20"}, *arguments, file)
        assert refused.returncode == 2
        assert str(file) in refused.stderr


def test_a_failed_run_reports_its_reason_once(servers: Environment, bucket: str, tmp_path: Path) -> None:
    assert command(servers, "init-db").returncode == 0
    spec = small_spec("xgb", bucket).as_json()
    failed = command(
        servers | {"COLUMNS": "20"},
        "run",
        "--file",
        training_job(tmp_path / "job.yaml", spec),
        "--termination-log",
        tmp_path / "told",
    )
    facts = json.loads((tmp_path / "told").read_text())
    assert failed.returncode == facts["exitCode"] == ExitCode.DATA
    assert failed.stderr.count(facts["message"]) == 1
    assert failed.stderr.splitlines()[-1] == f"error: {facts['reason']}: {facts['message']}"
    assert facts["message"] not in failed.stdout


def test_the_help_lists_the_exit_codes_and_what_import_refuses(servers: Environment) -> None:
    codes = " ".join(command(servers, "--help").stdout.split())
    assert [code for code in ExitCode if not re.search(rf"\b{int(code)} [a-z]", codes)] == []
    told = " ".join(command(servers, "import", "--help").stdout.split())
    assert "rows are already in the table, nothing is imported and the exit code is 11" in told


def test_a_pod_that_gets_sigterm_exits_with_code_14(
    servers: Environment, installation: Installation, tmp_path: Path
) -> None:
    spec = small_spec("gru", installation.bucket).as_json()
    spec["model"]["gru"] |= {"epochs": 10_000, "earlyStoppingPatience": 10_000}
    run = installation.training_run(TrainingJobSpec.model_validate(spec))
    (port,) = free_ports(1)
    told = tmp_path / "termination-log"
    program = [
        sys.executable,
        "-m",
        "trainingjob_trainer",
        "run",
        "--termination-log",
        told,
        "--metrics-port",
        str(port),
    ]
    process = subprocess.Popen(program, env=servers | as_environment(run))
    try:
        wait_until(lambda: process.poll() is not None or epochs_shown(port) >= 1, "the first epoch has ended")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == ExitCode.STOPPED
    finally:
        process.kill()
        process.wait()
    facts = json.loads(told.read_text())
    assert (facts["outcome"], facts["reason"], facts["exitCode"]) == ("Stopped", "Suspended", 14)
