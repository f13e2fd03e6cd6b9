"""The device of a run, and its number of threads."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.device import (
    choose_device,
    cpu_limit,
    cpu_threads,
    process_environment,
    with_local_accelerator,
)

GPU = "nvidia.com/gpu"


def training_run(policy: str, accelerator: str | None) -> TrainingRun:
    content: dict[str, Any] = {
        "namespace": "pumps",
        "name": "itu-415",
        "uid": "1f0c9a3e-5d1c-4b8e-9d53-0d2a5e3c1b11",
        "run": 1,
        "attempt": 1,
        "specHash": "0" * 64,
        "window": {},
        "accelerator": accelerator,
        "acceleratorPolicy": policy,
        "adopt": True,
        "spec": {"machine": "ITU-415", "model": {"type": "gru"}},
    }
    return TrainingRun.model_validate_json(json.dumps(content))


@pytest.mark.parametrize(
    ("policy", "accelerator", "gpus", "used"),
    [
        ("Disabled", None, 0, "CPU"),
        ("Disabled", None, 1, "CPU"),
        ("Preferred", None, 1, "CPU"),
        ("Preferred", GPU, 1, "GPU"),
        ("Required", "nvidia.com/mig-1g.10gb", 1, "GPU"),
    ],
)
def test_a_run_uses_the_device_of_its_attempt(policy: str, accelerator: str | None, gpus: int, used: str) -> None:
    assert choose_device(training_run(policy, accelerator), gpus, threads=2) == Device(used, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("policy", "accelerator", "gpus"), [("Preferred", GPU, 0), ("Required", GPU, 0), ("Required", None, 1)]
)
def test_a_missing_accelerator_is_an_error(policy: str, accelerator: str | None, gpus: int) -> None:
    with pytest.raises(TrainingError, match=GPU) as refusal:
        choose_device(training_run(policy, accelerator), gpus, threads=2)
    assert refusal.value.exit_code is ExitCode.ACCELERATOR_MISSING


@pytest.mark.parametrize(
    ("policy", "gpus", "accelerator"),
    [("Disabled", 1, None), ("Preferred", 1, GPU), ("Preferred", 0, None), ("Required", 1, GPU), ("Required", 0, None)],
)
def test_without_a_cluster_a_run_uses_the_devices_of_the_machine(
    policy: str, gpus: int, accelerator: str | None
) -> None:
    assert with_local_accelerator(training_run(policy, None), gpus).accelerator == accelerator


@pytest.mark.parametrize(
    ("used", "backend", "chosen"), [("CPU", "", "jax"), ("GPU", "", "jax"), ("GPU", "tensorflow", "tensorflow")]
)
def test_keras_uses_jax_unless_configured_otherwise(used: Any, backend: str, chosen: str) -> None:
    assert process_environment(Device(used, 1), {"KERAS_BACKEND": backend})["KERAS_BACKEND"] == chosen


def test_an_attempt_on_the_cpu_hides_every_gpu() -> None:
    assert process_environment(Device("CPU", 1), {})["CUDA_VISIBLE_DEVICES"] == "-1"
    assert "CUDA_VISIBLE_DEVICES" not in process_environment(Device("GPU", 1), {})


def test_an_attempt_on_a_gpu_leaves_memory_to_other_pods_and_keeps_the_flags_of_xla() -> None:
    environment = process_environment(Device("GPU", 1), {"XLA_FLAGS": "--xla_gpu_autotune_level=0"})
    assert environment["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert environment["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"
    assert environment["XLA_FLAGS"].split() == ["--xla_gpu_autotune_level=0", "--xla_gpu_deterministic_ops=true"]


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({}, float("inf")),
        ({"cpu.max": "max 100000\n"}, float("inf")),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, float("inf")),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
    ],
)
def test_the_cpu_limit_is_read_from_either_cgroup_version(tmp_path: Path, files: dict[str, str], cpus: float) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert cpu_limit(tmp_path) == cpus


def test_the_operator_sets_the_threads_up_to_the_number_of_cpus() -> None:
    available = len(os.sched_getaffinity(0))
    assert cpu_threads({"TRAINER_THREADS": "1"}) == 1
    assert cpu_threads({"TRAINER_THREADS": "4096"}) == available
    assert 1 <= cpu_threads({}) <= available
    with pytest.raises(TrainingError, match="TRAINER_THREADS") as refusal:
        cpu_threads({"TRAINER_THREADS": "1.5"})
    assert refusal.value.exit_code is ExitCode.CONFIGURATION


@pytest.mark.parametrize("threads", [1, 3])
def test_jax_uses_only_the_given_threads(threads: int) -> None:
    program = """
import pathlib
import jax.numpy
(jax.numpy.ones((300, 300)) @ jax.numpy.ones((300, 300))).block_until_ready()
names = [path.read_text().strip() for path in pathlib.Path("/proc/self/task").glob("*/comm")]
print(sum(name.startswith("tf_XLAEigen") for name in names))
"""
    environment = os.environ | process_environment(Device("CPU", threads), {})
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    assert int(done.stdout) == threads
