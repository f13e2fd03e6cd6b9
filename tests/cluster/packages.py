"""Debian packages that the node and its images need: installed when they are missing, said so first."""

import logging
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence

from cluster.clusters import ClusterUnavailableError

# The program that shows that a package is there.
NODE_PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
}
IMAGE_PACKAGES = {"buildah": "buildah", "debootstrap": "debootstrap"}
_QUIET = {"DEBIAN_FRONTEND": "noninteractive"}

logger = logging.getLogger(__name__)


def install_missing(packages: Mapping[str, str]) -> None:
    """Installs those packages whose program is not there.

    Args:
        packages: program on PATH to name of the package.

    Raises:
        ClusterUnavailableError: they cannot be installed here, and what to do.
    """
    missing = sorted({package for program, package in packages.items() if shutil.which(program) is None})
    if not missing:
        return
    command = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ClusterUnavailableError(f"missing here: {', '.join(missing)}; on Debian, as root: {command}")
    logger.info("%s (as root)", command)
    _run(["apt-get", "update", "-qq"])
    _run(command.split())


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command, env=os.environ | _QUIET, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode != 0:
        raise ClusterUnavailableError(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}")
