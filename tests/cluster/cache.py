"""A cache of results that are expensive to make. The first program that needs a result makes it."""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

ROOT = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainingjob"


def digest(parts: Iterable[bytes | str]) -> str:
    """A short hash of these parts, as the key of a result that depends on them."""
    total = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        total.update(len(content).to_bytes(8, "big") + content)
    return total.hexdigest()[:16]


@contextlib.contextmanager
def lock(name: str, when_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Holds a lock among all programs of this user. It is released when the program ends, also by a crash.

    Args:
        name: what is locked.
        when_waiting: called once when another program holds it; may raise instead of waiting.
    """
    ROOT.mkdir(parents=True, exist_ok=True)
    with _lock_file(name).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            when_waiting()
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def lock_holder(name: str) -> int | None:
    """The process that holds a lock, if one does."""
    path = _lock_file(name)
    if not path.exists():
        return None
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


def path(kind: str, key: str) -> Path:
    """The path of the folder of the key, which may not exist yet."""
    return ROOT / kind / key


def folder(kind: str, key: str, make: Callable[[Path], None], when_waiting: Callable[[], None]) -> Path:
    """The folder of the key; it is filled first if it is missing.

    Args:
        kind: what the folder holds.
        key: from `digest`.
        make: fills an empty folder.
        when_waiting: called when another program is making one.
    """
    kept = path(kind, key)
    if kept.is_dir():
        return kept
    with lock(kind, when_waiting):
        if not kept.is_dir():
            unfinished = kept.with_name(f"{key}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            make(unfinished)
            unfinished.rename(kept)
    return kept


def _lock_file(name: str) -> Path:
    return ROOT / f"{name}.lock"
