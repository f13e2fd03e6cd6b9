"""Debian packages that the node and its images need. Missing ones are announced, then installed."""

import logging
import os
import shutil
from collections.abc import Mapping

from cluster.clusters import ClusterUnavailableError
from cluster.programs import ProgramError, run_program

# A program of each package, by which an installed package is recognised.
NODE_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
}
IMAGE_PACKAGES = {"buildah": "buildah", "/usr/lib/podman/netavark": "netavark", "debootstrap": "debootstrap"}

logger = logging.getLogger(__name__)


def install_missing(packages: Mapping[str, str]) -> None:
    """Installs the packages whose program is missing.

    Args:
        packages: program on PATH to name of the package.

    Raises:
        ClusterUnavailableError: they cannot be installed on this machine; the message says what to do.
    """
    missing = sorted({package for program, package in packages.items() if shutil.which(program) is None})
    if not missing:
        return
    command = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterUnavailableError(f"missing here: {', '.join(missing)}; on Debian, as root: {command}")
    logger.info("%s (as root)", command)
    try:
        run_program(["apt-get", "update", "-qq"])
        run_program(command.split(), environment={"DEBIAN_FRONTEND": "noninteractive"})
    except ProgramError as error:
        raise ClusterUnavailableError(f"missing here: {', '.join(missing)}; {error}") from error
