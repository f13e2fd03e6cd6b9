"""Server processes: the error when one ends, and that all end with the test run."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import cache, processes
from cluster.processes import ServerError, check_servers, free_ports, start_server, wait_until

PARENT = """
import sys, time
from pathlib import Path
from cluster.processes import start_server, wait_until
pid = start_server(["sleep", "600"], Path(sys.argv[1])).process.pid
wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\\n", "sleep has started")
print(pid, flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ROOT", tmp_path)
    monkeypatch.setattr(processes, "_started", [])


def test_a_server_that_ends_is_reported_at_once_with_its_last_log_lines(tmp_path: Path) -> None:
    server = start_server(["sh", "-c", "echo the disk is full; exit 3"], tmp_path / "log")
    with pytest.raises(ServerError, match=r"(?s)exit code 3.*the disk is full"):
        wait_until(lambda: False, "never", [server])


def test_a_server_that_ends_later_is_reported_and_its_log_is_kept(tmp_path: Path) -> None:
    stopped, dead = (start_server(["sleep", "600"], tmp_path / f"{number}.log", name="S3") for number in range(2))
    check_servers()
    stopped.stop()
    dead.process.kill()
    dead.process.wait()
    with pytest.raises(ServerError, match="S3 was ended by SIGKILL") as failure:
        check_servers()
    dead.log.unlink()
    assert Path(str(failure.value).rsplit(" ", 1)[1]).exists()
    dead.stop()
    check_servers()


def test_a_server_ends_when_the_test_run_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    wait_until(lambda: not _runs(server), "the server has ended", patience_seconds=10)


def test_a_server_that_ignores_the_signal_is_killed(tmp_path: Path) -> None:
    server = start_server(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log")
    wait_until(lambda: "ready" in server.log.read_text(), "the server is ready", [server])
    server.stop(patience_seconds=0.1)
    assert server.process.returncode == -signal.SIGKILL


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(20))) == 20


def _runs(pid: int) -> bool:
    # A zombie has ended too.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
