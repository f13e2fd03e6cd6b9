"""The project's images, built from its Dockerfile by buildah: without a daemon, and without a registry."""

import contextlib
import logging
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from cluster import base_image, cache, host
from cluster.packages import IMAGE_PACKAGES, install_missing
from cluster.processes import ServerError
from cluster.programs import run_program

REPOSITORY = Path(__file__).parents[2]
# Target of the Dockerfile to the name that the manifests use.
TARGETS = {"operator": "trainingjob-operator:dev", "trainer-cpu": "trainingjob-trainer-cpu:dev"}
# No node of the test bed has a GPU, so this image is built on request only.
GPU_TARGETS = {"trainer-gpu": "trainingjob-trainer-gpu:dev"}
_FOLDER = cache.ROOT / "images"
_TEMPORARY = _FOLDER / "temporary"
_STORAGE = ("--root", str(_FOLDER / "storage"), "--runroot", str(_FOLDER / "run"), "--storage-driver", "overlay")
_BASE_LABEL = "trainingjob.base"
# The caches of `RUN --mount=type=cache` are in the folder for temporary files, and must be kept.
_ENVIRONMENT = {"TMPDIR": str(_TEMPORARY)}

logger = logging.getLogger(__name__)


def build_images(targets: Mapping[str, str] = TARGETS) -> dict[str, str]:
    """Builds targets of the Dockerfile; buildah repeats only the steps whose inputs changed.

    Args:
        targets: target of the Dockerfile to the name of its image.

    Returns:
        The names of the images, each with the digest of its content.

    Raises:
        ClusterUnavailableError: a program is missing and cannot be installed.
        ProgramError: a step failed.
    """
    install_missing(IMAGE_PACKAGES)
    with _storage():
        # An interrupted build leaves working containers; no other program creates any.
        _buildah("rm", "--all")
        _forget_outdated_layers(base=_build_base())
        return {name: _build(target, name) for target, name in targets.items()}


def export_image(name: str, archive: Path) -> None:
    """Writes a built image to an archive that containerd and Docker can import.

    Args:
        name: of an image that was built.
        archive: the file, which must not exist.
    """
    with _storage():
        _buildah("push", "--quiet", name, f"docker-archive:{archive}:docker.io/library/{name}")


@contextlib.contextmanager
def _storage() -> Iterator[None]:
    """Locks buildah's storage, so that one program uses it at a time, and removes its mounts at the end."""
    with cache.lock("images", lambda: logger.info("Waiting for another program that is building images")):
        _TEMPORARY.mkdir(parents=True, exist_ok=True)
        try:
            yield
        finally:
            host.unmount_below(_FOLDER)


def _build_base() -> str:
    """Makes the base image if it is missing, and returns a digest of its inputs."""
    found = re.search(r"^FROM (debian:(\w+)-slim) ", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE)
    if found is None:
        raise ServerError("the Dockerfile does not start from debian:RELEASE-slim")
    name, suite = found.groups()
    settings = base_image.machine_settings()
    key = cache.digest([name, Path(base_image.__file__).read_bytes(), *settings.values()])
    if _buildah("images", "--quiet", "--filter", f"label={_BASE_LABEL}={key}"):
        return key
    logger.info("Making the base image %s by debootstrap, once: about a minute", name)
    container = _buildah("from", "scratch").strip()
    try:
        base_image.bootstrap(Path(_buildah("mount", container).strip()), suite, settings)
        _buildah("umount", container)
        _buildah("config", "--label", f"{_BASE_LABEL}={key}", "--cmd", "/bin/bash", container)
        _buildah("commit", "--quiet", container, name)
    finally:
        _buildah("rm", container)
    return key


def _forget_outdated_layers(base: str) -> None:
    """Removes the layers that no image uses, if the inputs of large layers have changed."""
    inputs = [REPOSITORY / "Dockerfile", *sorted((REPOSITORY / "requirements").iterdir())]
    key = cache.digest([base, *(file.read_bytes() for file in inputs)])
    seen = _FOLDER / "inputs"
    if seen.exists() and seen.read_text() != key:
        logger.info("Removing the layers of images that are out of date")
        _buildah("rmi", "--prune")
    seen.write_text(key)


def _build(target: str, name: str) -> str:
    started = time.monotonic()
    identifier = _TEMPORARY / f"{target}.id"
    options = f"--isolation chroot --pull-never --layers --target {target} --tag {name}"
    files: list[str | Path] = ["--iidfile", identifier, "--file", REPOSITORY / "Dockerfile", REPOSITORY]
    command = ["buildah", *_STORAGE, "build", *options.split(), *files]
    step = ""

    def report(line: str) -> None:
        nonlocal step
        if "STEP " in line:
            step = " ".join(line.partition("STEP ")[2].split())
        elif step and not line.startswith("--> Using cache"):
            logger.info("%s, step %.100s", target, step)
            step = ""

    run_program(command, environment=_ENVIRONMENT, each_line=report)
    logger.info("Built %s in %.0f seconds", name, time.monotonic() - started)
    return identifier.read_text().strip()


def _buildah(*arguments: str) -> str:
    return run_program(["buildah", *_STORAGE, *arguments], environment=_ENVIRONMENT)
