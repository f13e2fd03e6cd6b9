"""The trainer's own commands, as the demonstration runs them beside the cluster."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from demo.story import SUCCEEDED, Announcement

_PROGRAM = Path(sys.executable).with_name("trainingjob-trainer")


def run(environment: Mapping[str, str], *arguments: str) -> None:
    """Runs one command; what it says goes to the terminal.

    Args:
        environment: Where PostgreSQL and S3 are.
        arguments: Of ``trainingjob-trainer``.

    Raises:
        subprocess.CalledProcessError: It failed.
    """
    subprocess.run([_PROGRAM, *arguments], env=os.environ | environment, check=True)


def announced(environment: Mapping[str, str], job: Mapping[str, Any]) -> Announcement:
    """How a TrainingJob is going to end, by what ``check`` says of its data."""
    with _file(job) as file:
        check = subprocess.run(
            [_PROGRAM, "check", "-f", file],
            env=os.environ | environment,
            check=False,
            capture_output=True,
            text=True,
        )
    if check.returncode == 0:
        return Announcement(job, SUCCEEDED, "its data can train it")
    reason, _, message = check.stderr.strip().splitlines()[-1].partition(": ")
    return Announcement(job, reason, message)


def ends_alone(environment: Mapping[str, str], announcement: Announcement) -> bool:
    """Runs a TrainingJob without any cluster; returns whether it ended as announced."""
    with _file(announcement.job) as file:
        code = subprocess.run([_PROGRAM, "run", "-f", file], env=os.environ | environment, check=False).returncode
    return (code == 0) == (announcement.ending == SUCCEEDED)


@contextmanager
def _file(job: Mapping[str, Any]) -> Iterator[str]:
    """The TrainingJob as a file; JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(job, file)
        file.flush()
        yield file.name
