"""The compile cache saves compilations, is safe to share, and never changes or fails a training."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("compile_program.py")
# Root may write to read-only folders, unless it lacks this capability.
BOUND_BY_PERMISSIONS = ("setpriv", "--bounding-set=-dac_override") if os.geteuid() == 0 else ()


def start(folder: Path | None, **options: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    if folder:
        environment["TRAINER_CACHE_DIR"] = str(folder)
    return subprocess.Popen(
        [*BOUND_BY_PERMISSIONS, sys.executable, str(PROGRAM)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(training: subprocess.Popen[str]) -> dict[str, Any]:
    said, _ = training.communicate()
    assert training.returncode == 0
    result: dict[str, Any] = json.loads(said)
    return result


@pytest.fixture(scope="module")
def uncached() -> dict[str, Any]:
    """A training without a cache."""
    return finish(start(None))


@pytest.fixture(scope="module")
def filled() -> Iterator[Path]:
    """A cache that two trainings filled at the same time."""
    with TemporaryDirectory() as place:
        folder = Path(place) / "cache"
        both = [start(folder), start(folder)]
        assert finish(both[0])["model"] == finish(both[1])["model"]
        yield folder


@pytest.fixture
def cache(filled: Path, tmp_path: Path) -> Path:
    """A copy of the filled cache."""
    return Path(shutil.copytree(filled, tmp_path / "cache"))


def entries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*/*-cache"))


def test_a_filled_cache_has_every_program_and_gives_identical_weights(cache: Path, uncached: dict[str, Any]) -> None:
    stored = {entry: entry.stat().st_mtime_ns for entry in entries(cache)}
    second = finish(start(cache))
    assert second["found"] == second["programs"] > 5
    assert second["model"] == uncached["model"]
    assert {entry: entry.stat().st_mtime_ns for entry in entries(cache)} == stored


def test_a_damaged_entry_is_replaced(cache: Path, uncached: dict[str, Any]) -> None:
    shortened, changed = entries(cache)[:2]
    shortened.write_bytes(shortened.read_bytes()[:-100])
    content = bytearray(changed.read_bytes())
    content[len(content) // 2] ^= 1
    changed.write_bytes(content)
    first = finish(start(cache))
    assert first["found"] == first["programs"] - 2
    assert first["model"] == uncached["model"]
    again = finish(start(cache))
    assert again["found"] == again["programs"]


def test_a_read_only_cache_is_read(filled: Path, uncached: dict[str, Any]) -> None:
    missing = entries(filled)[0]
    content = missing.read_bytes()
    missing.unlink()
    for folder in (filled, missing.parent):
        folder.chmod(0o555)
    try:
        result = finish(start(filled))
        assert not missing.exists()
    finally:
        for folder in (filled, missing.parent):
            folder.chmod(0o755)
        missing.write_bytes(content)
    assert result["found"] == result["programs"] - 1
    assert result["model"] == uncached["model"]


def test_a_cache_that_cannot_be_written_fails_no_training(tmp_path: Path, uncached: dict[str, Any]) -> None:
    # No file may grow beyond this, so that each write ends as on a full volume: in the middle, with an error.
    limit = (4096, 4096)
    full = finish(start(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit)))
    assert full["model"] == uncached["model"]
    later = finish(start(tmp_path))
    assert later["model"] == uncached["model"]
    again = finish(start(tmp_path))
    assert again["found"] == again["programs"]


def test_a_cache_that_cannot_be_created_fails_no_training(tmp_path: Path, uncached: dict[str, Any]) -> None:
    (tmp_path / "file").write_text("")
    result = finish(start(tmp_path / "file"))
    assert (result["found"], result["model"]) == (0, uncached["model"])
