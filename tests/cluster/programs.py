"""Runs programs to their end. All output of a program that fails is kept."""

import contextlib
import os
import shlex
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cluster import cache

_TAIL_LINES = 25
_COMMAND_LENGTH = 160
_KEPT_LOGS = 50
_PATIENCE_SECONDS = 10


class ProgramError(Exception):
    """A program failed. The message says how, and has the last lines of its output and the path of all output.

    Attributes:
        exit_code: of the program, negative when a signal ended it; None when it did not start, or still runs.
        said: its whole output and errors.
    """

    def __init__(self, message: str, exit_code: int | None = None, said: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.said = said


def run_program(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    privileges: Sequence[str] = (),
    stdin: str = "",
    each_line: Callable[[str], None] | None = None,
) -> str:
    """Runs a program to its end. If this process gets a signal to end, the program and its children end first.

    Args:
        command: program and arguments.
        folder: where it runs.
        environment: added to the environment of this process.
        privileges: options of setpriv(1), such as the user to run as.
        stdin: its standard input.
        each_line: called with each line of its output and errors at once.

    Returns:
        Its standard output; with `each_line` its errors too.

    Raises:
        ProgramError: it failed, or could not be started.
    """
    wrapper = ["setpriv", *privileges, "--"] if privileges else []
    output: list[str] = []
    with tempfile.TemporaryFile("w+") as given, tempfile.TemporaryFile("w+", errors="replace") as errors:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                [*wrapper, *command],
                cwd=folder,
                env=os.environ | (environment or {}),
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if each_line else errors,
                text=True,
                errors="replace",
                start_new_session=True,
            )
        except OSError as error:
            raise ProgramError(f"{_short(command)} cannot be started: {error}") from error
        with process:
            try:
                for line in process.stdout or ():
                    output.append(line)
                    if each_line:
                        each_line(line.rstrip("\n"))
            except BaseException:
                _end_session(process)
                raise
        if process.returncode != 0:
            errors.seek(0)
            raise failure(command, process.returncode, "".join(output) + errors.read())
    return "".join(output)


def failure(command: Sequence[str | Path], exit_code: int, said: str) -> ProgramError:
    """The error of a program that failed; its output is kept in a file.

    Args:
        command: program and arguments.
        exit_code: negative when a signal ended it.
        said: its output and errors.
    """
    kept = keep_log(Path(command[0]).name, said)
    message = f"{ending(exit_code)}: {_short(command)}\n{tail(said)}\nAll output is in {kept}"
    return ProgramError(f"{Path(command[0]).name} {message}", exit_code, said)


def ending(exit_code: int) -> str:
    """How a program ended, in words."""
    return f"ended with exit code {exit_code}" if exit_code >= 0 else f"was ended by {signal.Signals(-exit_code).name}"


def tail(said: str) -> str:
    """The last lines, indented."""
    return "\n".join(f"    {line}" for line in said.splitlines()[-_TAIL_LINES:])


def keep_log(name: str, said: str) -> Path:
    """Writes the output of a program to a file of the cache, removes the oldest files, and returns the file."""
    folder = cache.ROOT / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    for outdated in sorted(folder.glob("*.log"), key=lambda log: log.stat().st_mtime)[: -_KEPT_LOGS + 1]:
        outdated.unlink(missing_ok=True)
    started = time.strftime("%Y%m%d-%H%M%S")
    descriptor, file = tempfile.mkstemp(prefix=f"{name}-{started}-", suffix=".log", dir=folder)
    with os.fdopen(descriptor, "w") as log:
        log.write(said)
    return Path(file)


def _short(command: Sequence[str | Path]) -> str:
    words = shlex.join([Path(command[0]).name, *map(str, command[1:])])
    return words if len(words) <= _COMMAND_LENGTH else f"{words[: _COMMAND_LENGTH - 3]}..."


def _end_session(process: "subprocess.Popen[str]") -> None:
    """Ends a program and its children by SIGTERM, then by SIGKILL."""
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(_PATIENCE_SECONDS)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
