"""The programs of Kubernetes: compiled once from the Go module in this folder, or existing ones."""

import logging
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from cluster import cache
from cluster.processes import ServerError
from cluster.programs import run_program

_SOURCE = Path(__file__).parent / "go"
_CONTROL_PLANE = ("etcd", "kube-apiserver")
_COMPONENTS = (*_CONTROL_PLANE, "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_REPORT_SECONDS = 10

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Binaries:
    """A folder with some of the programs of Kubernetes under their usual names."""

    folder: Path

    def find(self, component: str) -> Path | None:
        """The program of that name, None if it is missing."""
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
    """The programs in an existing folder, such as that of envtest: at least those of an API server.

    Raises:
        ServerError: one of them is missing.
    """
    binaries = Binaries(folder)
    for component in _CONTROL_PLANE:
        binaries[component]
    return binaries


def go_program() -> str | None:
    """The Go compiler on PATH, if any."""
    return shutil.which("go")


def go_version() -> str | None:
    """The version of Go on PATH, such as `1.26.3`; None without Go.

    Raises:
        ProgramError: Go does not print its version.
    """
    return _go_version_line().split()[2].removeprefix("go") if go_program() else None


def required_go() -> str:
    """The lowest version of Go that compiles Kubernetes, such as `1.26.0`."""
    return _in_go_mod(r"^go (\S+)$")[1]


def are_built() -> bool:
    """Whether all programs are compiled.

    Raises:
        ProgramError: there is no Go, or it failed.
    """
    return cache.path("kubernetes", _key()).is_dir()


def built_binaries() -> Binaries:
    """All programs, and `pause`, compiled when they are not in the cache.

    Raises:
        ProgramError: there is no Go, or it failed.
    """
    return Binaries(
        cache.folder(
            "kubernetes",
            _key(),
            _build,
            lambda: logger.info("Waiting for another program that is compiling Kubernetes"),
        )
    )


def _key() -> str:
    sources = sorted(path for path in _SOURCE.rglob("*") if path.is_file())
    return cache.digest([_go_version_line(), *(part for path in sources for part in (path.name, path.read_bytes()))])


def _go_version_line() -> str:
    return run_program(["go", "version"], folder=_SOURCE)


def _build(folder: Path) -> None:
    started = time.monotonic()
    logger.info("Compiling Kubernetes, once: about 6 minutes on two cores; downloading its Go modules")
    programs = [".", "./pause"]
    packages = len(run_program(["go", "list", "-deps", *programs], folder=_SOURCE).splitlines())
    flags = ["-v", "-trimpath", "-ldflags", f"-s -w {_version_flags()}"]
    compiled, reported = 0, started

    def report(_: str) -> None:
        nonlocal compiled, reported
        compiled += 1
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            logger.info("Compiled %d of %d packages", compiled, packages)

    command = ["go", "build", *flags, "-o", f"{folder}/", *programs]
    run_program(command, folder=_SOURCE, environment={"CGO_ENABLED": "0"}, each_line=report)
    for component in _COMPONENTS:
        (folder / component).symlink_to("kubernetes")
    logger.info("Compiled Kubernetes in %.0f seconds", time.monotonic() - started)


def _version_flags() -> str:
    # The build of Kubernetes sets these. Without them each component has version v0.0.0, and kubectl prints a warning.
    found = _in_go_mod(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)")
    values = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3], "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return " ".join(f"-X {package}.{name}={value}" for package in packages for name, value in values.items())


def _in_go_mod(pattern: str) -> re.Match[str]:
    found = re.search(pattern, (_SOURCE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ServerError(f"nothing in {_SOURCE / 'go.mod'} looks like {pattern}")
    return found
