"""Checks whether the test bed can run on this machine. It comes before all slow steps and reports all obstacles."""

import contextlib
import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster import binaries, cache, host
from cluster.clusters import ClusterUnavailableError
from cluster.container_runtime import has_images
from cluster.control_plane import SERVICE_ADDRESS, SERVICE_PORT
from cluster.object_store import version
from cluster.packages import IMAGE_PACKAGES, NODE_PACKAGES, install_missing
from cluster.postgres import postgres_running
from cluster.programs import ProgramError, run_program

# The number of the bit in the capability sets of the kernel.
_CAPABILITIES = {
    "CAP_CHOWN": 0,
    "CAP_DAC_OVERRIDE": 1,
    "CAP_FOWNER": 3,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_SYS_CHROOT": 18,
    "CAP_SYS_ADMIN": 21,
    "CAP_MKNOD": 27,
}
# From linux/in.h; the socket module lacks it.
_IP_FREEBIND = 15
# Measured in a first run, rounded up.
_RUN_DISK, _COMPILER_DISK, _IMAGES_DISK = 2e9, 5e9, 9e9
_MEMORY = 4e9


@dataclass(frozen=True)
class Machine:
    """The properties of a machine that the test bed depends on.

    Attributes:
        is_root: whether this process is root.
        capabilities: the bits of its effective capabilities.
        go: version of Go; None where there is none.
        is_compiled: whether Kubernetes is compiled already.
        has_images: whether the images were built before.
        free_disk: bytes that the cache may still take.
        free_memory: bytes.
        read_only: kernel files that the node must write but cannot.
        troubles: the checks that failed, each with its error.
    """

    is_root: bool
    capabilities: int
    go: str | None
    is_compiled: bool
    has_images: bool
    free_disk: float
    free_memory: float
    read_only: tuple[str, ...]
    troubles: Mapping[str, str]


def check_machine() -> None:
    """Installs the missing packages and checks that the test bed can run on this machine.

    Raises:
        ClusterUnavailableError: it cannot run; the message lists all obstacles, each with a solution.
    """
    found = obstacles(_examine(), binaries.required_go())
    if found:
        raise ClusterUnavailableError("\n".join(["a local node cannot run here:", *(f"- {each}" for each in found)]))


def obstacles(machine: Machine, required_go: str) -> list[str]:
    """The obstacles to a test bed on the machine, each with a solution.

    Args:
        machine: its properties.
        required_go: the lowest version of Go.
    """
    found = []
    if not machine.is_root:
        found.append("This is not root. A node needs root for its containers: run the command as root.")
    missing = [name for name, bit in _CAPABILITIES.items() if machine.is_root and not machine.capabilities >> bit & 1]
    if missing:
        found.append(f"Root lacks {', '.join(missing)}: run it on another machine, or in a privileged container.")
    if machine.is_root and machine.read_only:
        found.append(
            f"A node must write {', '.join(machine.read_only)}, which are read-only: run it on another machine, or "
            "in a privileged container."
        )
    if machine.go is None:
        found.append(f"There is no Go on PATH to compile Kubernetes: install Go {required_go} or newer.")
    elif _numbers(machine.go) < _numbers(required_go):
        found.append(f"Go {machine.go} on PATH is too old to compile Kubernetes: install Go {required_go} or newer.")
    disk = _RUN_DISK + _COMPILER_DISK * (not machine.is_compiled) + _IMAGES_DISK * (not machine.has_images)
    if machine.free_disk < disk:
        found.append(
            f"{machine.free_disk / 1e9:.1f} GB of disk are free at {cache.ROOT}, and {disk / 1e9:.0f} GB are needed: "
            "free some space, or set XDG_CACHE_HOME to a folder on another disk."
        )
    if machine.free_memory < _MEMORY:
        found.append(
            f"{machine.free_memory / 1e9:.1f} GB of memory are free, and {_MEMORY / 1e9:.0f} GB are needed: end other "
            "programs, or take a larger machine."
        )
    return found + [f"{what}: {because}" for what, because in machine.troubles.items()]


def _numbers(version: str) -> list[int]:
    """The numbers in a version, to compare versions."""
    return [int(number) for number in re.findall(r"\d+", version)]


def _examine() -> Machine:
    is_root = os.geteuid() == 0
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    troubles: dict[str, str] = {}

    @contextlib.contextmanager
    def tried(what: str) -> Iterator[None]:
        try:
            yield
        except (ClusterUnavailableError, ProgramError, OSError) as error:
            troubles[what] = str(error)

    cache.ROOT.mkdir(parents=True, exist_ok=True)
    with tried("Packages"):
        install_missing(NODE_PACKAGES | IMAGE_PACKAGES)
    if is_root:
        with tried("Containers cannot be run here"):
            _try_containers()
        with tried(f"Port {SERVICE_PORT} is in use (`ss -ltnp` shows the program): end that program"):
            _try_port()
    with tried("PostgreSQL does not start"), tempfile.TemporaryDirectory() as folder, postgres_running(Path(folder)):
        pass
    with tried("The S3 server does not start"):
        version()
    go, is_compiled = None, False
    with tried("Go does not run"):
        go = binaries.go_version()
        is_compiled = go is not None and binaries.are_built()
    return Machine(
        is_root=is_root,
        capabilities=int(status["CapEff"], 16),
        go=go,
        is_compiled=is_compiled,
        has_images=has_images(),
        free_disk=shutil.disk_usage(cache.ROOT).free,
        free_memory=int(memory["MemAvailable"].split()[0]) * 1024,
        read_only=tuple(str(path) for path in host.written() if not os.access(path, os.W_OK)),
        troubles=troubles,
    )


def _try_containers() -> None:
    """Tries what a container runtime needs: namespaces, a bridge, an overlay. They end with the process."""
    with tempfile.TemporaryDirectory(dir=cache.ROOT) as name:
        for part in ("lower", "upper", "work", "merged"):
            (Path(name) / part).mkdir()
        layers = ",".join(f"{part}dir={name}/{part}" for part in ("lower", "upper", "work"))
        script = 'ip link add probe type bridge; mount --types overlay --options "$1" overlay "$2"'
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--fork"]
        run_program(["unshare", *namespaces, "sh", "-e", "-c", script, "sh", layers, f"{name}/merged"])


def _try_port() -> None:
    with socket.socket() as server:
        # Closed connections of an earlier node keep the port for a minute.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The address exists only while a node runs.
        server.setsockopt(socket.SOL_IP, _IP_FREEBIND, 1)
        server.bind((SERVICE_ADDRESS, SERVICE_PORT))
