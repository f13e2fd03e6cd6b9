"""Progress of a run: an immutable value that is passed to every listener at each change."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from trainingjob_api.progress import Stage
from trainingjob_trainer.run.result import RunSummary

_BEGINS_AT = {
    Stage.STARTING: 0.0,
    Stage.LOADING: 0.01,
    Stage.PREPARING: 0.06,
    Stage.TRAINING: 0.1,
    Stage.EVALUATING: 0.92,
    Stage.PUBLISHING: 0.94,
    Stage.REGISTERING: 0.98,
}
"""Fraction of the run that is done when a stage begins."""


@dataclass(frozen=True)
class Progress:
    """The progress of a run.

    Attributes:
        stage: Current stage.
        epoch: Completed epochs; for xgb the completed boosters of the search.
        epochs: Maximum number of epochs; 0 while unknown.
        loss: Last training loss in units of the score; None when there is none.
        validation_loss: Last validation loss in units of the score; None when there is none.
        heartbeat_at: Time of the last heartbeat, in seconds since 1970.
        durations: Seconds of each stage that has ended.
        summary: The summary of the run so far.
    """

    stage: Stage = Stage.STARTING
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    validation_loss: float | None = None
    heartbeat_at: float = 0.0
    durations: Mapping[Stage, float] = field(default_factory=dict)
    summary: RunSummary = field(default_factory=RunSummary)

    @property
    def ratio(self) -> float:
        """Fraction of the run that is done, 0 to 1."""
        if self.stage is not Stage.TRAINING or self.epochs == 0:
            return _BEGINS_AT[self.stage]
        length = _BEGINS_AT[Stage.EVALUATING] - _BEGINS_AT[Stage.TRAINING]
        return _BEGINS_AT[self.stage] + length * min(1.0, self.epoch / self.epochs)


Listener = Callable[[Progress], None]


class RunProgress:
    """The reporter of a run: stores the current progress and passes every change to its listeners.

    It is thread-safe; listeners receive one change at a time.

    Attributes:
        now: The current progress.
    """

    def __init__(self, listeners: Sequence[Listener] = (), whole: "RunProgress | None" = None) -> None:
        """Start at the stage Starting; listeners receive the first change.

        Args:
            listeners: Receive every change.
            whole: The progress of what this run is a part of: each change is a heartbeat there, and a request to stop
                it stops this run too.
        """
        self._listeners = listeners
        self._whole = whole
        self._stop_requested = False
        self._entered_at = time.monotonic()
        self._lock = Lock()
        self.now = Progress()

    def stage(self, stage: Stage) -> None:
        """Enter a stage; entering the current one changes nothing but the heartbeat."""
        durations = dict(self.now.durations)
        if stage is not self.now.stage:
            now = time.monotonic()
            durations[self.now.stage] = round(now - self._entered_at, 3)
            self._entered_at = now
        self._change(stage=stage, durations=durations)

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """See ``Reporter``."""
        self._change(epoch=epoch, epochs=epochs, loss=loss, validation_loss=validation_loss)

    def heartbeat(self) -> None:
        """See ``Reporter``."""
        self._change()

    def record(self, **facts: Any) -> None:
        """Update the summary, which is also reported when the run fails; listeners are not called.

        Args:
            facts: Attributes of ``RunSummary``.
        """
        with self._lock:
            self.now = replace(self.now, summary=replace(self.now.summary, **facts))

    def request_stop(self) -> None:
        """Request the training to save its state and stop."""
        self._stop_requested = True

    def should_stop(self) -> bool:
        """See ``Reporter``."""
        return self._stop_requested or (self._whole is not None and self._whole.should_stop())

    def _change(self, **changed: Any) -> None:
        with self._lock:
            self.now = replace(self.now, heartbeat_at=time.time(), **changed)
            for listener in self._listeners:
                listener(self.now)
        if self._whole is not None:
            self._whole.heartbeat()
