"""Programs that run to their end: the error of one that fails, and that all end with an interruption."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cluster import cache
from cluster.processes import wait_until
from cluster.programs import ProgramError, keep_log, run_program

INTERRUPTED = """
import sys
from cluster.interruption import end_in_order
from cluster.programs import run_program
end_in_order()
run_program(["sh", "-c", "sleep 600 & echo $! > $0; wait", sys.argv[1]])
"""


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ROOT", tmp_path)


def run_and_fail(script: str) -> tuple[ProgramError, str]:
    """The error of a script, and the file with its output."""
    with pytest.raises(ProgramError) as failure:
        run_program(["sh", "-c", script])
    (kept,) = (cache.ROOT / "logs").iterdir()
    assert str(kept) in str(failure.value)
    return failure.value, kept.read_text()


def test_output_is_returned_separately_from_errors() -> None:
    assert run_program(["sh", "-c", "cat; echo a warning >&2"], stdin="said\n") == "said\n"
    assert not (cache.ROOT / "logs").exists()


def test_each_line_of_output_and_errors_is_passed_on_at_once() -> None:
    lines: list[str] = []
    run_program(["sh", "-c", "echo one; echo two >&2"], each_line=lines.append)
    assert lines == ["one", "two"]


def test_a_failure_shows_command_exit_code_and_last_lines() -> None:
    failure, kept = run_and_fail("seq 1000; echo disk full >&2; exit 3")
    assert str(failure).startswith("sh ended with exit code 3: sh -c 'seq 1000")
    assert "\n    1000\n    disk full\n" in str(failure)
    assert "\n    900\n" not in str(failure)
    assert failure.exit_code == 3
    assert kept.splitlines() == [*map(str, range(1, 1001)), "disk full"]


def test_the_message_names_the_signal_that_ended_a_program() -> None:
    failure, _ = run_and_fail("kill -KILL $$")
    assert str(failure).startswith("sh was ended by SIGKILL")


def test_a_long_command_is_shortened() -> None:
    failure, _ = run_and_fail(f"exit 1 # {'x' * 5000}")
    assert len(str(failure).splitlines()[0]) < 250


def test_a_missing_program_is_named() -> None:
    with pytest.raises(ProgramError, match="no-such-program cannot be started"):
        run_program(["no-such-program"])


def test_only_the_newest_logs_are_kept() -> None:
    for number in range(60):
        newest = keep_log("program", str(number))
    kept = list((cache.ROOT / "logs").iterdir())
    assert len(kept) == 50
    assert newest in kept


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_ends_the_program_and_its_children(tmp_path: Path, by: signal.Signals) -> None:
    child = tmp_path / "child"
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", INTERRUPTED, child], env=environment) as process:
        wait_until(lambda: child.exists() and child.read_text() != "", "the program has a child")
        process.send_signal(by)
    assert process.returncode == 128 + by
    wait_until(lambda: not _runs(int(child.read_text())), "the child has ended", patience_seconds=10)


def _runs(pid: int) -> bool:
    # A zombie has ended too.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z"
