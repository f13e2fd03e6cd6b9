"""The reporter: receives progress and heartbeats of a training, and says whether the training must stop."""

from typing import Protocol


class Reporter(Protocol):
    """The interface by which a training reports its progress."""

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Report the end of an epoch (for xgb: of a booster of the search).

        Args:
            epoch: Number of epochs that have ended, from 1.
            epochs: Number of epochs at most.
            loss: Training loss in units of the score; None where there is none.
            validation_loss: The same of the validation part.
        """

    def heartbeat(self) -> None:
        """Report that the training advances; without it for ``stallTimeoutSeconds`` the watchdog ends the process."""

    def should_stop(self) -> bool:
        """Whether the process was asked to end: a training then saves its state and raises ``Suspended``."""
        ...


class SilentReporter:
    """Ignores everything and never asks to stop: for trainings outside a run."""

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        """Ignore it."""

    def heartbeat(self) -> None:
        """Ignore it."""

    def should_stop(self) -> bool:
        """Never."""
        return False
