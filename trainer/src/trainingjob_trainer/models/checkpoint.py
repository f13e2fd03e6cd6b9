"""Checkpoints: the state of a training, under one key per attempt, so that the next attempt resumes from it."""

import io
import json
import logging
import time
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError

logger = logging.getLogger(__name__)
_FORMAT = 3
_HEADER = "header"
_EVERY_SECONDS = 30.0


class StoredObject(Protocol):
    """One object as a store lists it."""

    @property
    def key(self) -> str:
        """Its key."""
        ...


class Store(Protocol):
    """A store of objects in which an object is written whole or not at all."""

    def put(self, key: str, content: bytes) -> None:
        """Stores an object, over what is there."""

    def get(self, key: str) -> bytes | None:
        """Reads an object; None when there is none."""
        ...

    def list(self, prefix: str) -> Iterable[StoredObject]:
        """Every object whose key starts with ``prefix``."""
        ...

    def delete(self, key: str) -> None:
        """Removes an object, if it is there."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training, independent of the Keras backend.

    Attributes:
        fingerprint: Fingerprint of the training data.
        device: Description of the device; on another one, the last bits of the result may differ.
        steps: Number of completed steps.
        counters: Numbers that decide how the training continues; JSON.
        arrays: Weights and the like by name.
    """

    fingerprint: str
    device: str
    steps: int
    counters: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]


def encode(checkpoint: Checkpoint) -> bytes:
    """Writes a checkpoint as one npz file."""
    header = {
        "format": _FORMAT,
        "fingerprint": checkpoint.fingerprint,
        "device": checkpoint.device,
        "steps": checkpoint.steps,
        "counters": checkpoint.counters,
    }
    content = io.BytesIO()
    arrays: dict[str, Any] = {_HEADER: np.array(json.dumps(header)), **checkpoint.arrays}
    np.savez(content, **arrays)
    return content.getvalue()


def decode(content: bytes) -> Checkpoint:
    """Reads a checkpoint back, bit by bit.

    Raises:
        ValueError: It is not one, or one of another format.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            header = json.loads(str(file[_HEADER]))
            arrays = {name: file[name] for name in file.files if name != _HEADER}
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"it cannot be read: {error}") from error
    if header.pop("format", None) != _FORMAT:
        raise ValueError(f"it cannot be read: its format is not {_FORMAT}")
    return Checkpoint(**header, arrays=arrays)


class Checkpoints:
    """The checkpoints of one TrainingJob in a store, as one attempt sees them: it reads all and writes its own.

    Attributes:
        fingerprint: Of the data that this attempt trains on.
    """

    def __init__(
        self, store: Store, run: TrainingRun, fingerprint: str, *, every_seconds: float = _EVERY_SECONDS
    ) -> None:
        """Names the keys; nothing is read or written.

        Args:
            store: Where they are.
            run: The TrainingJob, what decides its model, and which attempt this is.
            fingerprint: Of the data that this attempt trains on.
            every_seconds: Time between two checkpoints.
        """
        self.fingerprint = fingerprint
        self._store = store
        self._every_seconds = every_seconds
        self._stored_at = time.monotonic()
        self._all = f"checkpoints/{run.namespace}/{run.name}/"
        self._equal = f"{self._all}{run.spec_hash}/"
        self._own = f"{self._equal}{run.uid[:8]}-{run.run}-{run.attempt}"

    def most_advanced(self) -> Checkpoint | None:
        """The most advanced checkpoint of equal spec and data, of whatever attempt; the log says why others are not."""
        candidates = [self._usable(stored.key) for stored in self._store.list(self._equal)]
        return max((found for found in candidates if found), key=lambda found: found.steps, default=None)

    def _usable(self, key: str) -> Checkpoint | None:
        content = self._store.get(key)
        if content is None:
            return None
        try:
            found = decode(content)
        except ValueError as error:
            logger.warning("checkpoint %s is discarded: %s", key, error)
            return None
        if found.fingerprint != self.fingerprint:
            logger.warning(
                "checkpoint %s is discarded: it was trained on other data (fingerprint %.12s, now %.12s)",
                key,
                found.fingerprint,
                self.fingerprint,
            )
            return None
        return found

    def is_due(self) -> bool:
        """Whether the last checkpoint is old enough for another one."""
        return time.monotonic() - self._stored_at >= self._every_seconds

    def put(self, checkpoint: Checkpoint) -> None:
        """Stores the checkpoint of this attempt over its last one."""
        self._store.put(self._own, encode(checkpoint))
        self._stored_at = time.monotonic()

    def offer(self, checkpoint: Checkpoint) -> None:
        """Stores it if the store takes it; otherwise the training continues without it and offers the next one."""
        try:
            self.put(checkpoint)
        except TrainingError as error:
            self._stored_at = time.monotonic()
            logger.warning("the training continues without a checkpoint: %s", error)

    def remove_superseded(self) -> None:
        """Removes the checkpoints of this TrainingJob that belong to another spec."""
        for stored in list(self._store.list(self._all)):
            if not stored.key.startswith(self._equal):
                self._store.delete(stored.key)

    def remove(self) -> None:
        """Removes every checkpoint of this TrainingJob: its model is registered."""
        for stored in list(self._store.list(self._all)):
            self._store.delete(stored.key)
