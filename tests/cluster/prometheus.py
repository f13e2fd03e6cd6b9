"""Prometheus and promtool: those on PATH, or those of Debian's package, unpacked into the cache and not installed."""

import shutil
from pathlib import Path

from cluster import cache
from cluster.binaries import Binaries
from cluster.clusters import ClusterUnavailableError
from cluster.programs import ProgramError, run_program

_PACKAGE = "prometheus"
_PROGRAMS = ("prometheus", "promtool")


def prometheus_programs() -> Binaries:
    """The programs `prometheus` and `promtool`.

    Raises:
        ClusterUnavailableError: they can neither be found nor downloaded; the message says what to do.
    """
    found = {Path(path).parent for program in _PROGRAMS if (path := shutil.which(program))}
    if len(found) == 1 and all((folder / program).exists() for folder in found for program in _PROGRAMS):
        return Binaries(found.pop())
    if shutil.which("apt-get") is None:
        raise ClusterUnavailableError("prometheus and promtool are not on PATH, and there is no apt-get to get them")
    key = cache.digest([Path("/etc/os-release").read_bytes(), run_program(["dpkg", "--print-architecture"])])
    try:
        unpacked = cache.folder(_PACKAGE, key, _unpack, lambda: None)
    except ProgramError as error:
        raise ClusterUnavailableError(f"the Debian package {_PACKAGE} cannot be downloaded: {error}") from error
    return Binaries(unpacked / "usr/bin")


def _unpack(folder: Path) -> None:
    download = ["apt-get", "download", "-qq", _PACKAGE]
    try:
        run_program(download, folder=folder)
    except ProgramError:
        # The lists of packages are missing or outdated; only root may renew them.
        run_program(["apt-get", "update", "-qq"])
        run_program(download, folder=folder)
    (package,) = folder.glob("*.deb")
    run_program(["dpkg-deb", "--extract", package, folder])
    package.unlink()
