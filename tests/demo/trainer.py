"""The commands of the trainer that the demonstration runs outside of the cluster."""

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cluster.programs import ProgramError, run_program
from demo.story import SUCCEEDED, Announcement

_PROGRAM = Path(sys.executable).with_name("trainingjob-trainer")
# With a lower exit code the trainer has reported no reason.
_FIRST_EXIT_CODE_OF_A_REASON = 10


def run(environment: Mapping[str, str], *arguments: str) -> None:
    """Runs one command and shows its output on the terminal.

    Args:
        environment: Where PostgreSQL and S3 are.
        arguments: Of ``trainingjob-trainer``.

    Raises:
        ProgramError: It failed.
    """
    run_program([_PROGRAM, *arguments], environment=environment, each_line=_print)


def announced(environment: Mapping[str, str], job: Mapping[str, Any]) -> Announcement:
    """The expected result of a TrainingJob, from ``trainingjob-trainer check``.

    Raises:
        ProgramError: ``check`` gave no result.
    """
    with _file(job) as file:
        try:
            run_program([_PROGRAM, "check", "-f", file], environment=environment)
        except ProgramError as error:
            if (error.exit_code or 0) < _FIRST_EXIT_CODE_OF_A_REASON:
                raise
            _, reason, message = error.said.strip().splitlines()[-1].split(": ", 2)
            return Announcement(job, reason, message)
    return Announcement(job, SUCCEEDED, "Its data is sufficient.")


def ends_alone(environment: Mapping[str, str], announcement: Announcement) -> bool:
    """Runs a TrainingJob without any cluster; returns whether it ended as announced."""
    with _file(announcement.job) as file:
        try:
            run(environment, "run", "-f", file)
        except ProgramError as error:
            if announcement.ending == SUCCEEDED:
                _print(str(error))
            return announcement.ending != SUCCEEDED
    return announcement.ending == SUCCEEDED


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _file(job: Mapping[str, Any]) -> Iterator[str]:
    """The TrainingJob as a file; JSON is YAML."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        json.dump(job, file)
        file.flush()
        yield file.name
