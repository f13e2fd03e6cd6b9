"""The cache between runs: its entries are complete, and one program at a time makes an entry."""

import os
from pathlib import Path

import pytest

from cluster import cache


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "ROOT", tmp_path)


def made_with(content: str) -> Path:
    """The folder of the key; if it is made now, a file in it has the given content."""

    def make(folder: Path) -> None:
        (folder / "file").write_text(content)

    return cache.folder("kind", "key", make, lambda: None)


def test_a_complete_entry_is_reused() -> None:
    assert (made_with("first") / "file").read_text() == "first"
    assert (made_with("second") / "file").read_text() == "first"


def test_an_incomplete_entry_is_made_again() -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cache.folder("kind", "key", fail, lambda: None)
    assert [file.name for file in made_with("whole").iterdir()] == ["file"]


def test_the_holder_of_a_lock_is_known_while_it_holds_the_lock() -> None:
    assert cache.lock_holder("node") is None
    with cache.lock("node"):
        assert cache.lock_holder("node") == os.getpid()
    assert cache.lock_holder("node") is None


def test_different_parts_with_equal_concatenation_have_different_digests() -> None:
    assert cache.digest(["ab", "c"]) != cache.digest(["a", "bc"])
