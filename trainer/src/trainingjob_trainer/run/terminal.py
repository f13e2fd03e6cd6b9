"""Terminal output of a run: a progress bar, and a table of metrics at the end."""

import logging
import sys
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from trainingjob_api.progress import Stage
from trainingjob_trainer.report.content import MetricsTable
from trainingjob_trainer.run.progress import Progress


class TerminalBar:
    """A listener that shows progress as one line; without a terminal it shows nothing."""

    def __init__(self, console: Console, description: str = Stage.STARTING) -> None:
        """Create the bar; it is shown when the context is entered.

        Args:
            console: Where to show it.
            description: Its first text, before the first change of stage.
        """
        self._bar = Bar(
            TextColumn("[bold]{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(description, total=1.0, detail="")

    def __enter__(self) -> "TerminalBar":
        """Show the bar; log lines are printed above it."""
        before = sys.stderr
        self._bar.start()
        self._redirect_logging(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop updating the bar; its last state stays visible."""
        before = sys.stderr
        self._bar.stop()
        self._redirect_logging(before)

    @staticmethod
    def _redirect_logging(before: TextIO) -> None:
        """Redirect log handlers from the previous stderr to the current one, which rich replaces."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(sys.stderr)

    def __call__(self, progress: Progress) -> None:
        """Receive a change of progress."""
        self.update(progress.ratio, _detail(progress), progress.stage)

    def update(self, ratio: float, detail: str, description: str | None = None) -> None:
        """Update the bar.

        Args:
            ratio: Fraction that is done.
            detail: Text beside the bar.
            description: Text before the bar; None keeps it.
        """
        self._bar.update(self._task, completed=ratio, description=description, detail=detail)


def rich_table(metrics: MetricsTable) -> Table:
    """The metrics of a model and its baselines as a table."""
    table = Table("", *metrics.columns, title=metrics.title)
    for name, values in metrics.rows:
        table.add_row(name, *map(_number, values))
    label, value = metrics.caption
    table.caption = f"{label}: {_number(value)}"
    return table


def _detail(progress: Progress) -> str:
    if not progress.epochs:
        return ""
    losses = "".join(
        f" {name} {value:.3g}"
        for name, value in (("loss", progress.loss), ("validation", progress.validation_loss))
        if value is not None
    )
    return f"{progress.epoch}/{progress.epochs}{losses}"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.4g}"
