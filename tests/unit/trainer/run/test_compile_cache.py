"""Which folder of the cache a machine uses."""

from pathlib import Path

import pytest

from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run import compile_cache
from trainingjob_trainer.run.compile_cache import cache_environment

CPUINFO = """processor : 0
vendor_id : GenuineIntel
cpu family : 6
model : 106
cpu MHz : 2500.000
flags : fpu sse2 avx2 avx512f

processor : 1
vendor_id : GenuineIntel
cpu MHz : 3100.000
"""


def folder(root: Path, monkeypatch: pytest.MonkeyPatch, cpuinfo: str = CPUINFO, threads: int = 2) -> str:
    file = root / "cpuinfo"
    file.write_text(cpuinfo)
    monkeypatch.setattr(compile_cache, "_CPUINFO", file)
    return cache_environment(Device("CPU", threads), {"TRAINER_CACHE_DIR": str(root)})["JAX_COMPILATION_CACHE_DIR"]


def test_processors_without_equal_features_share_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = folder(tmp_path, monkeypatch)
    assert Path(usual).parent == tmp_path
    assert folder(tmp_path, monkeypatch, CPUINFO.replace("MHz : 2500", "MHz : 1800")) == usual
    assert folder(tmp_path, monkeypatch, CPUINFO.replace(" avx512f", "")) != usual
    assert folder(tmp_path, monkeypatch, CPUINFO.replace("106", "143")) != usual
    assert folder(tmp_path, monkeypatch, threads=1) != usual


def test_without_the_variable_there_is_no_cache() -> None:
    assert cache_environment(Device("CPU", 2), {}) == {}
    assert cache_environment(Device("CPU", 2), {"TRAINER_CACHE_DIR": ""}) == {}


def test_programs_are_stored_only_while_the_volume_has_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"TRAINER_CACHE_DIR": str(tmp_path)}
    usual = cache_environment(Device("CPU", 2), environment)
    monkeypatch.setattr(compile_cache, "_MINIMUM_FREE_BYTES", 2**80)
    full = cache_environment(Device("CPU", 2), environment)
    threshold = "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"
    assert float(usual.pop(threshold)) == 0
    assert float(full.pop(threshold)) > 3600
    assert full == usual
