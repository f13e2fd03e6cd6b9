"""Server processes of the test bed: started with a log file, watched while they come up, ended with their parent."""

import os
import random
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# Below Linux's ephemeral range, so that no outgoing connection takes a port between its choice and its use.
_PORTS = range(20000, 32000)
_POLL_SECONDS = 0.05
_LOG_TAIL_LINES = 25


class ServerError(Exception):
    """A server of the test bed did not come up, or died; the message ends with the last lines of its log."""


@dataclass(frozen=True)
class Server:
    """A running server process.

    Attributes:
        name: what it is, for messages.
        process: the process itself, the leader of its own session.
        log: file with its standard output and error.
    """

    name: str
    process: "subprocess.Popen[bytes]"
    log: Path

    def check(self) -> None:
        """Raises ServerError with the end of the log if the process has ended."""
        code = self.process.poll()
        if code is not None:
            raise ServerError(f"{self.name} ended with exit code {code}; the end of {self.log}:\n{self.log_tail()}")

    def log_tail(self) -> str:
        """The last lines of the log, indented."""
        lines = self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        return "\n".join(f"    {line}" for line in lines)

    def stop(self, by: signal.Signals = signal.SIGTERM, patience_seconds: float = 10) -> None:
        """Ends the process: by the signal, and by SIGKILL when that had no effect within the patience."""
        if self.process.poll() is None:
            self.process.send_signal(by)
            try:
                self.process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def start_server(
    command: Sequence[str | Path],
    log: Path,
    *,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    privileges: Sequence[str] = (),
    dies_by: signal.Signals = signal.SIGKILL,
) -> Server:
    """Starts a server that ends when this process ends, even when this process is killed.

    The parent-death signal is tied to the calling thread, so servers are started from threads that live as long as
    the servers shall.

    Args:
        command: program and arguments.
        log: file for its output, emptied first.
        name: what it is, for messages; the program's name by default.
        environment: its whole environment; this process's own by default.
        privileges: further options of setpriv(1), such as the user to run as.
        dies_by: the signal it gets when this process ends without having stopped it.
    """
    wrapper = ["setpriv", *privileges, "--pdeathsig", dies_by.name.removeprefix("SIG")]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*wrapper, *command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )
    return Server(name or Path(command[0]).name, process, log)


def run_program(
    command: Sequence[str | Path],
    *,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    each_line: Callable[[str], None] = lambda _: None,
) -> None:
    """Runs a program to its end; when this process is told to end meanwhile, the program is ended first.

    Args:
        command: program and arguments.
        folder: where it runs.
        environment: what it has in its environment beside that of this process.
        each_line: is given each line of its output and errors as it comes.

    Raises:
        ServerError: it failed; with the end of what it said.
    """
    said: deque[str] = deque(maxlen=_LOG_TAIL_LINES)
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | (environment or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        try:
            for line in process.stdout or ():
                said.append(line)
                each_line(line.rstrip("\n"))
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        raise ServerError(f"{' '.join(map(str, command))} failed:\n{''.join(said)}")


def wait_until(
    ready: Callable[[], bool], what: str, servers: Iterable[Server] = (), *, patience_seconds: float = 60
) -> None:
    """Waits until a condition holds, failing at once when one of the servers it depends on dies.

    Args:
        ready: the condition; an OSError counts as not yet.
        what: the condition in words, for the message.
        servers: the servers that must stay alive meanwhile.
        patience_seconds: how long to wait at most.

    Raises:
        ServerError: a server died, or the condition did not hold in time; with the end of the logs.
    """
    servers = list(servers)
    deadline = time.monotonic() + patience_seconds
    trouble: OSError | None = None
    while time.monotonic() < deadline:
        for server in servers:
            server.check()
        try:
            if ready():
                return
        except OSError as error:
            trouble = error
        time.sleep(_POLL_SECONDS)
    logs = "".join(f"\nthe end of {server.log}:\n{server.log_tail()}" for server in servers)
    because = f" ({trouble})" if trouble else ""
    raise ServerError(f"{what}: not within {patience_seconds:.0f} seconds{because}{logs}")


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Finds TCP ports that nothing listens on at the address, all different."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as candidate:
            try:
                candidate.bind((address, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise ServerError(f"no {count} free TCP ports between {_PORTS.start} and {_PORTS.stop} at {address}")
