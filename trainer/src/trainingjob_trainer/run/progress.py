"""How far a run is: one immutable picture of it, told to whoever listens at every change."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from threading import Lock
from typing import Any


class Stage(Enum):
    """What a run is doing, with the share of the whole run that lies behind when it begins."""

    STARTING = ("Starting", 0.0)
    LOADING = ("Loading", 0.01)
    PREPARING = ("Preparing", 0.06)
    TRAINING = ("Training", 0.1)
    EVALUATING = ("Evaluating", 0.92)
    PUBLISHING = ("Publishing", 0.94)
    REGISTERING = ("Registering", 0.98)

    def __init__(self, label: str, begins_at: float) -> None:
        self.label = label
        self.begins_at = begins_at


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: What it is doing.
        epoch: Epochs that ended; for xgb the boosters of the search.
        epochs: How many there will be at most; 0 while unknown.
        loss: Last training loss in units of the score, None where there is none.
        validation_loss: The same of the validation part.
        advanced_at: When something moved on last, in seconds since 1970.
    """

    stage: Stage = Stage.STARTING
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    advanced_at: float = 0.0

    @property
    def ratio(self) -> float:
        """Share of the whole run that is done, 0 to 1."""
        if self.stage is not Stage.TRAINING or self.epochs == 0:
            return self.stage.begins_at
        length = Stage.EVALUATING.begins_at - Stage.TRAINING.begins_at
        return self.stage.begins_at + length * min(1.0, self.epoch / self.epochs)


Listener = Callable[[Progress], None]


class RunProgress:
    """The reporter of a run: keeps the present picture and tells every change to its listeners.

    May be called from any thread; listeners hear one change after the other.

    Attributes:
        now: The present picture.
    """

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        """Start at the stage Starting and tell the listeners so."""
        self._listeners = listeners
        self._stop_requested = False
        self._lock = Lock()
        self.now = Progress()
        self._change()

    def stage(self, stage: Stage) -> None:
        """Say that the run goes on to a stage."""
        self._change(stage=stage)

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """See ``Reporter``."""
        self._change(epoch=epoch, epochs=epochs, loss=loss, validation_loss=validation_loss)

    def advanced(self) -> None:
        """See ``Reporter``."""
        self._change()

    def request_stop(self) -> None:
        """Ask the training to save what is worth saving and to end."""
        self._stop_requested = True

    def should_stop(self) -> bool:
        """See ``Reporter``."""
        return self._stop_requested

    def _change(self, **changed: Any) -> None:
        with self._lock:
            self.now = replace(self.now, advanced_at=time.time(), **changed)
            for listener in self._listeners:
                listener(self.now)
