"""What a training tells while it runs, and how it hears that it must stop."""

from typing import Protocol


class Reporter(Protocol):
    """Listens to a training. Every call is cheap, may be made from any step and never raises."""

    def stage(self, name: str) -> None:
        """A stage begins: Training or Evaluating here, one of the documented names."""

    def epoch(self, epoch: int, epochs: int, loss: float | None = None, validation_loss: float | None = None) -> None:
        """``epoch`` of at most ``epochs`` is done (xgb: boosters); losses in units of the score, None where unknown."""

    def advanced(self) -> None:
        """Something moved: the run is not stuck."""

    def should_stop(self) -> bool:
        """Whether the run was asked to end; the training then checkpoints and raises ``Suspended``."""
        ...
