"""Compiles programs from a Go module of this repository, and copies files of the modules that it requires."""

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import cache
from cluster.programs import run_program

_REPORT_SECONDS = 10

logger = logging.getLogger(__name__)


def go_version_line(source: Path, environment: Mapping[str, str] | None = None) -> str:
    """What `go version` prints in the folder of a module.

    Raises:
        ProgramError: there is no Go, or it failed.
    """
    return run_program(["go", "version"], folder=source, environment=environment)


def module_key(source: Path, environment: Mapping[str, str] | None = None) -> str:
    """The key for the cache of what is compiled from a module: a hash of its files and of Go's version.

    Raises:
        ProgramError: there is no Go, or it failed.
    """
    files = sorted(path for path in source.rglob("*") if path.is_file())
    contents = (part for path in files for part in (path.name, path.read_bytes()))
    return cache.digest([go_version_line(source, environment), *contents])


def compile_packages(
    name: str,
    source: Path,
    packages: Sequence[str],
    folder: Path,
    *,
    variables: Mapping[str, str],
    minutes: int,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Compiles main packages of a module into a folder.

    Args:
        name: of the product, for messages.
        source: the folder of the module.
        packages: one program each.
        folder: an existing folder for the programs.
        variables: values of string variables that the linker sets, by their full names.
        minutes: how long it takes on two cores, for messages.
        environment: added to the environment of Go.

    Raises:
        ProgramError: there is no Go, or it failed.
    """
    started = time.monotonic()
    logger.info("Compiling %s, once: about %d minutes on two cores; downloading its Go modules", name, minutes)
    total = len(run_program(["go", "list", "-deps", *packages], folder=source, environment=environment).splitlines())
    compiled, reported = 0, started

    def report(_: str) -> None:
        nonlocal compiled, reported
        compiled += 1
        if time.monotonic() - reported > _REPORT_SECONDS:
            reported = time.monotonic()
            logger.info("Compiled %d of %d packages", compiled, total)

    linker = " ".join(["-s", "-w", *(f"-X {variable}={value}" for variable, value in variables.items())])
    command = ["go", "build", "-v", "-trimpath", "-ldflags", linker, "-o", f"{folder}/", *packages]
    run_program(command, folder=source, environment={"CGO_ENABLED": "0", **(environment or {})}, each_line=report)
    logger.info("Compiled %s in %.0f seconds", name, time.monotonic() - started)


def copy_module_files(
    source: Path, module: str, patterns: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Copies files of a required module, which is downloaded already, under their paths in it.

    Args:
        source: the folder of the module that requires it.
        module: its path.
        patterns: globs of the files.
        folder: where the files are copied to.
        environment: added to the environment of Go.
    """
    command = ["go", "list", "-m", "-f", "{{.Dir}}", module]
    root = Path(run_program(command, folder=source, environment=environment).strip())
    for file in (file for pattern in patterns for file in root.glob(pattern)):
        target = folder / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        # Without the mode: files of the module cache are read-only, and not executable.
        shutil.copyfile(file, target)
