"""Server processes of the test bed: each has a log file, is monitored while it starts, and ends with its parent."""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.programs import ProgramError, ending, keep_log, tail

# Below Linux's ephemeral range, so that no outgoing connection takes a port between its choice and its use.
_PORTS = range(20000, 32000)


class ServerError(ProgramError):
    """A server of the test bed did not start, or ended; the message ends with the last lines of its log."""


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
            raise ServerError(f"{self.name} {ending(code)}{self.last_lines()}", code)

    def last_lines(self) -> str:
        """The last lines of the log, and where a copy of it is kept."""
        said = self.log.read_text(errors="replace")
        return f"; its last lines:\n{tail(said)}\nAll output is in {keep_log(self.name, said)}"

    def stop(self, by: signal.Signals = signal.SIGTERM, patience_seconds: float = 10) -> None:
        """Ends the process by the signal, and by SIGKILL if it still runs after the patience."""
        if self in _started:
            _started.remove(self)
        if self.process.poll() is None:
            self.process.send_signal(by)
            try:
                self.process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# The servers that this process has started and not stopped.
_started: list[Server] = []


def check_servers() -> None:
    """Checks that every server that this process has started and not stopped still runs.

    Raises:
        ServerError: one has ended.
    """
    for server in _started:
        server.check()


def start_server(
    command: Sequence[str | Path],
    log: Path,
    *,
    name: str | None = None,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
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
        directory: its working directory; this process's own by default.
        privileges: further options of setpriv(1), such as the user to run as.
        dies_by: the signal it gets when this process ends without having stopped it.
    """
    wrapper = ["setpriv", *privileges, "--pdeathsig", dies_by.name.removeprefix("SIG")]
    log.write_bytes(b"")
    return _start(name or Path(command[0]).name, [*wrapper, *command], log, environment, directory)


def start_again(server: Server) -> Server:
    """Starts a server that has ended, by the same command in this process's own environment; its log continues."""
    return _start(server.name, server.process.args, server.log)


def _start(
    name: str,
    command: Any,
    log: Path,
    environment: Mapping[str, str] | None = None,
    directory: Path | None = None,
) -> Server:
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=directory,
            start_new_session=True,
        )
    server = Server(name, process, log)
    _started.append(server)
    return server


def wait_until(
    ready: Callable[[], bool],
    what: str,
    servers: Iterable[Server] = (),
    *,
    patience_seconds: float = 60,
    poll_seconds: float = 0.05,
) -> None:
    """Waits until a condition holds; fails at once if one of the servers that it depends on ends.

    Args:
        ready: the condition; it does not hold yet if it raises OSError.
        what: the condition in words, for the message.
        servers: the servers that must keep running.
        patience_seconds: how long to wait at most.
        poll_seconds: how long to wait between two looks at the condition.

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
        time.sleep(poll_seconds)
    logs = "".join(f"\n{server.name} runs{server.last_lines()}" for server in servers)
    because = f" ({trouble})" if trouble else ""
    raise ServerError(f"{what}: not within {patience_seconds:.0f} seconds{because}{logs}")


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Finds different TCP ports on which nothing listens at the address."""
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
