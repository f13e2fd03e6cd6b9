"""The compile cache: a folder in which JAX keeps compiled programs, so that the next training need not compile them.

The folder may be shared by several trainers at once, on nodes with different processors. It is only a cache: where it
cannot be used, a warning is logged and the programs are compiled.
"""

import hashlib
import logging
import os
import platform
import shutil
import zlib
from collections.abc import Mapping
from pathlib import Path

from trainingjob_api.names import CACHE_VARIABLE
from trainingjob_trainer.models.device import Device

logger = logging.getLogger(__name__)

_CPUINFO = Path("/proc/cpuinfo")
_PROCESSOR = {"vendor_id", "cpu family", "model", "flags", "CPU implementer", "CPU variant", "CPU part", "Features"}
_MINIMUM_FREE_BYTES = 32 * 2**20


def cache_environment(device: Device, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that make JAX use the folder that ``TRAINER_CACHE_DIR`` names.

    Args:
        device: The device of the attempt.
        environment: The environment of the process.

    Returns:
        No variable where there is no usable folder.
    """
    root = environment.get(CACHE_VARIABLE)
    if not root:
        return {}
    folder = Path(root) / f"jax-{_machine(device)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        full = shutil.disk_usage(folder).free < _MINIMUM_FREE_BYTES
        writable = os.access(folder, os.W_OK) and not full
        if writable:
            _remove_damaged(folder)
    except OSError as error:
        logger.warning("%s=%s cannot be used, so all programs are compiled: %s", CACHE_VARIABLE, root, error)
        return {}
    if not writable:
        logger.warning(
            "%s=%s is %s: programs that are not in it are compiled and not stored",
            CACHE_VARIABLE,
            root,
            "full" if full else "read-only",
        )
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        # The path of XLA's own cache for GPUs would be part of each key, and the programs contain its results.
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "none",
        # JAX stores no program that compiles faster than this: by default those below a second, which all of ours are.
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0" if writable else "1e9",
    }


def _machine(device: Device) -> str:
    """Identifies what JAX compiles for but does not put into its keys: the processor and the number of threads."""
    try:
        first, _, _ = _CPUINFO.read_text().partition("\n\n")
    except OSError:
        first = ""
    fields = (line.partition(":") for line in first.splitlines())
    processor = [(name.strip(), value.strip()) for name, _, value in fields if name.strip() in _PROCESSOR]
    described = repr((platform.machine(), sorted(processor), device.threads))
    return hashlib.sha256(described.encode()).hexdigest()[:16]


def _remove_damaged(folder: Path) -> None:
    """Remove entries that cannot be read, such as those of a process that was killed; JAX would keep them forever.

    JAX compresses entries with zlib, whose checksum shows damage.
    """
    for entry in folder.glob("*-cache"):
        try:
            zlib.decompress(entry.read_bytes())
        except zlib.error:
            logger.warning("%s is damaged and is removed", entry)
            entry.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
