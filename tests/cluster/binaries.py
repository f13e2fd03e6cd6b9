"""The programs of Kubernetes: compiled once from the Go module in this folder, or existing ones."""

import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cluster import cache
from cluster.go_modules import compile_packages, go_version_line, module_key
from cluster.processes import ServerError

_SOURCE = Path(__file__).parent / "go"
_CONTROL_PLANE = ("etcd", "kube-apiserver")
_COMPONENTS = (*_CONTROL_PLANE, "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")

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
    return go_version_line(_SOURCE).split()[2].removeprefix("go") if go_program() else None


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
    return module_key(_SOURCE)


def _build(folder: Path) -> None:
    compile_packages("Kubernetes", _SOURCE, [".", "./pause"], folder, variables=_version_variables(), minutes=6)
    for component in _COMPONENTS:
        (folder / component).symlink_to("kubernetes")


def _version_variables() -> dict[str, str]:
    # The build of Kubernetes sets these. Without them each component has version v0.0.0, and kubectl prints a warning.
    found = _in_go_mod(r"k8s\.io/kubernetes (v(\d+)\.(\d+)\.\d+)")
    values = {"gitVersion": found[1], "gitMajor": found[2], "gitMinor": found[3], "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return {f"{package}.{name}": value for package in packages for name, value in values.items()}


def _in_go_mod(pattern: str) -> re.Match[str]:
    found = re.search(pattern, (_SOURCE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise ServerError(f"nothing in {_SOURCE / 'go.mod'} looks like {pattern}")
    return found
