"""What a training tells the run it belongs to, and asks of it: progress, signs of life, and whether to stop."""

from typing import Protocol


class Reporter(Protocol):
    """Given to every training; the training never sees who listens."""

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Say that an epoch has ended (for xgb: a booster of the search).

        Args:
            epoch: How many have ended, from 1.
            epochs: How many there will be at most.
            loss: Training loss in units of the score; None where there is none.
            validation_loss: The same of the validation part.
        """

    def advanced(self) -> None:
        """Say that something moved on, so that the run is not taken for stalled."""

    def should_stop(self) -> bool:
        """Whether somebody asked the process to end; save what is worth saving, then raise ``Suspended``."""
        ...


class SilentReporter:
    """Tells nobody and is never asked to stop: for trainings outside a run."""

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Hear and forget."""

    def advanced(self) -> None:
        """Hear and forget."""

    def should_stop(self) -> bool:
        """Never."""
        return False
