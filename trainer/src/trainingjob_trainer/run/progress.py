"""How far a run is: one immutable picture of it, told to whoever listens at every change."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

from trainingjob_api.progress import Stage

_BEGINS_AT = {
    Stage.STARTING: 0.0,
    Stage.LOADING: 0.01,
    Stage.PREPARING: 0.06,
    Stage.TRAINING: 0.1,
    Stage.EVALUATING: 0.92,
    Stage.PUBLISHING: 0.94,
    Stage.REGISTERING: 0.98,
}
"""The share of the whole run that lies behind when a stage begins."""


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
            return _BEGINS_AT[self.stage]
        length = _BEGINS_AT[Stage.EVALUATING] - _BEGINS_AT[Stage.TRAINING]
        return _BEGINS_AT[self.stage] + length * min(1.0, self.epoch / self.epochs)


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
