"""Selects the device of a run: its accelerator, or the CPU with as many threads as the CPU limit allows.

The device is selected before the heavy imports, because JAX, TensorFlow and OpenMP read the environment only once.
"""

import ctypes
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.names import THREADS_VARIABLE
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device

Run = TypeVar("Run", TrainingRun, FleetRun)

_CGROUP = Path("/sys/fs/cgroup")


def choose_device(run: TrainingRun | FleetRun, gpus: int, threads: int) -> Device:
    """Choose the device of this attempt, and check that a requested GPU is visible.

    Args:
        run: The run; its ``accelerator`` is the resource of the attempt, None for the CPU.
        gpus: Number of GPUs that are visible in the process.
        threads: Number of CPU threads to use.

    Raises:
        TrainingError: AcceleratorMissing when no GPU is visible; the run does not fall back to the CPU silently.
    """
    if run.accelerator is None and run.accelerator_policy != "Required":
        return Device("CPU", threads)
    if gpus == 0 or run.accelerator is None:
        resource = run.accelerator or run.spec.accelerator.resource_name
        raise TrainingError(
            Reason.ACCELERATOR_MISSING,
            f"This attempt requests {resource} (policy {run.accelerator_policy}), but no GPU is visible in the "
            "process. Check the node's driver, the device plugin and runtimeClassName, or choose another policy.",
        )
    return Device("GPU", threads)


def with_local_accelerator(run: Run, gpus: int) -> Run:
    """Set the accelerator of a run without a cluster: the local GPU, if there is one and the policy allows it."""
    wanted = gpus > 0 and run.accelerator_policy != "Disabled"
    return run.model_copy(update={"accelerator": run.spec.accelerator.resource_name if wanted else None})


def process_environment(device: Device, environment: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that make the libraries use the device and no more threads than allowed.

    An existing ``KERAS_BACKEND`` is kept. Otherwise Keras uses JAX, whose short steps are much faster than those of
    TensorFlow on a CPU and on a GPU.
    """
    threads = str(device.threads)
    variables = {
        "KERAS_BACKEND": environment.get("KERAS_BACKEND") or "jax",
        "OMP_NUM_THREADS": threads,
        # Waiting threads must not spin: on a shared CPU that makes XGBoost many times slower.
        "OMP_WAIT_POLICY": environment.get("OMP_WAIT_POLICY") or "PASSIVE",
        "OPENBLAS_NUM_THREADS": threads,
        "TF_NUM_INTRAOP_THREADS": threads,
        "TF_NUM_INTEROP_THREADS": threads,
        # XLA sizes its CPU thread pool by this variable, because it ignores cgroup limits.
        "NPROC": threads,
        "TF_CPP_MIN_LOG_LEVEL": environment.get("TF_CPP_MIN_LOG_LEVEL") or "2",
    }
    if device.used == "GPU":
        return variables | {
            # Other pods may share the GPU: no library reserves its memory.
            "TF_FORCE_GPU_ALLOW_GROWTH": "true",
            "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
            # Without it XLA chooses kernels by timing them, so that equal runs end in different weights.
            "XLA_FLAGS": f"{environment.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".lstrip(),
        }
    # A container runtime may show every GPU of the node to a pod that asked for none.
    return variables | {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}


def cpu_threads(environment: Mapping[str, str]) -> int:
    """Number of CPU threads to use: ``TRAINER_THREADS``, else the cgroup's CPU limit; at most the available CPUs.

    Raises:
        TrainingError: InvalidConfiguration when ``TRAINER_THREADS`` is not a positive integer.
    """
    available = len(os.sched_getaffinity(0))
    setting = environment.get(THREADS_VARIABLE, "")
    if setting and (not setting.isdecimal() or int(setting) < 1):
        raise TrainingError(
            Reason.INVALID_CONFIGURATION, f"{THREADS_VARIABLE} must be a positive integer, not {setting!r}."
        )
    limit = float(setting) if setting else cpu_limit()
    return max(1, math.ceil(min(available, limit)))


def visible_gpus() -> int:
    """Number of CUDA devices that the process can use, from the driver's API, without importing a framework."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def cpu_limit(root: Path = _CGROUP) -> float:
    """The CPU limit of the container in CPUs, from cgroup v2 or v1; infinite when there is no limit."""
    for quota_file, period_file in (
        ("cpu.max", "cpu.max"),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            quota = (root / quota_file).read_text().split()[0]
            period = (root / period_file).read_text().split()[-1]
        except (OSError, IndexError):
            continue
        return math.inf if quota in ("max", "-1") else int(quota) / int(period)
    return math.inf
