"""What a person at a terminal sees of a run: a bar while it trains, a table of the result when it is done."""

import logging
import sys
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from trainingjob_api.progress import Stage
from trainingjob_trainer.run.progress import Progress

_REGRESSION = ("rmse", "mae", "r2")
_BASELINES = ("persistence", "mean", "ridge")


class TerminalBar:
    """A listener that draws the present progress as one line; says nothing where there is no terminal."""

    def __init__(self, console: Console) -> None:
        """Prepare; nothing is drawn before the context is entered."""
        self._bar = Bar(
            TextColumn("[bold]{task.description:<10}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(Stage.STARTING, total=1.0, detail="")

    def __enter__(self) -> "TerminalBar":
        """Begin to draw; what is logged to stderr meanwhile stands above the bar."""
        before = sys.stderr
        self._bar.start()
        self._redirect_logging(before)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last line standing."""
        before = sys.stderr
        self._bar.stop()
        self._redirect_logging(before)

    @staticmethod
    def _redirect_logging(before: TextIO) -> None:
        """Let log handlers that write to what was stderr before write to what is stderr now."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(sys.stderr)

    def __call__(self, progress: Progress) -> None:
        """Show this progress."""
        self._bar.update(self._task, completed=progress.ratio, description=progress.stage, detail=_detail(progress))


def result_table(model_type: str, metrics: Mapping[str, Any]) -> Table:
    """The metrics of a model beside what costs nothing: persistence, the mean and ridge regression, or chance."""
    if model_type == "gru":
        table = Table("", *(name.upper() for name in _REGRESSION), title="Test part, one step ahead")
        for label, suffix in (("this model", ""), *((name, f"_{name}") for name in _BASELINES)):
            if f"rmse{suffix}" in metrics:
                table.add_row(label, *(_number(metrics.get(f"{name}{suffix}")) for name in _REGRESSION))
        table.caption = f"skill against persistence: {_number(metrics.get('skill'))}"
        return table
    positives, rows = metrics.get("positives_test", 0), metrics.get("test_size") or 1
    table = Table("", "this model", "by chance", title="Test part, rows before a failure")
    for name, chance in (
        ("auc_score", 0.5),
        ("average_precision", positives / rows),
        ("recall_at_threshold", metrics.get("alarm_share_at_threshold")),
        ("precision_at_threshold", positives / rows),
    ):
        table.add_row(name, _number(metrics.get(name)), _number(chance))
    table.caption = f"operating threshold {_number(metrics.get('operating_threshold'))}"
    return table


def facts_table(title: str, facts: Sequence[tuple[str, object]]) -> Table:
    """Names and values, one below the other."""
    table = Table(title=title, show_header=False)
    for name, value in facts:
        table.add_row(name, str(value))
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
