"""The demonstration on a machine that cannot have a node."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]


def demo(folder: Path, *, ci: str) -> "subprocess.CompletedProcess[str]":
    """Runs the demonstration of a missing file, as a user who may not mount."""
    drop = ["setpriv", "--inh-caps=-sys_admin", "--bounding-set=-sys_admin"] if os.geteuid() == 0 else []
    command = [*drop, sys.executable, "-m", "demo", "--data", "missing.csv", "--machine", "MOTOBOMBA-007"]
    environment = os.environ | {"PYTHONPATH": str(TESTS), "XDG_CACHE_HOME": str(folder), "CI": ci}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> "subprocess.CompletedProcess[str]":
    return demo(tmp_path_factory.mktemp("cache"), ci="")


def test_obstacles_to_a_node_are_reported_before_anything_is_built(
    alone: "subprocess.CompletedProcess[str]",
) -> None:
    assert "No Kubernetes on this machine: a local node cannot run here:\n- " in alone.stdout
    assert "Compiling" not in alone.stdout
    assert "The trainer alone" in alone.stdout


def test_a_failed_command_shows_its_last_lines_and_no_traceback(
    alone: "subprocess.CompletedProcess[str]",
) -> None:
    assert alone.returncode == 1
    assert "error: trainingjob-trainer ended with exit code" in alone.stderr
    assert "trainingjob-trainer import missing.csv" in alone.stderr
    assert "Traceback" not in alone.stdout + alone.stderr
    kept = Path(alone.stderr.split("All output is in ")[1].strip())
    assert "missing.csv" in kept.read_text()


def test_in_ci_a_demonstration_without_a_node_fails(tmp_path: Path) -> None:
    done = demo(tmp_path, ci="true")
    assert done.returncode == 1
    assert "The trainer alone" not in done.stdout
