"""Displays TrainingJobs and TrainingFleets while they run, and the metrics of their models."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from demo.story import columns, is_over

HEADINGS = ("NAME", "MACHINE", "MODEL", "PHASE", "PROGRESS", "RESULT", "REASON")
_SECONDS_BETWEEN_LOOKS = 0.5


def watch(
    console: Console, look: Callable[[], Sequence[Mapping[str, Any]]], *, patience_seconds: float
) -> Sequence[Mapping[str, Any]]:
    """Shows objects until all have ended.

    Where there is no terminal, a line is printed whenever one has changed, as ``kubectl get -w`` does.

    Args:
        console: Where to show them.
        look: Returns them as they are now.
        patience_seconds: When to give up.

    Returns:
        The objects as they ended, or as they were when patience was over.
    """
    deadline = time.monotonic() + patience_seconds
    shown: dict[str, tuple[str, ...]] = {}
    with Live(console=console, auto_refresh=False) as live:
        while True:
            jobs = look()
            if console.is_terminal:
                live.update(_table(map(columns, jobs)), refresh=True)
            for row in map(columns, jobs):
                if not console.is_terminal and shown.get(row[0]) != row:
                    console.print("   ".join(row), highlight=False, soft_wrap=True)
                shown[row[0]] = row
            if all(map(is_over, jobs)) or time.monotonic() > deadline:
                return jobs
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def metrics_table(rows: Iterable[tuple[str, str, Mapping[str, Any]]]) -> Table:
    """The metrics of the registered models, beside the baselines.

    Args:
        rows: Machine, model type and metrics of each row of the table ``models``.
    """
    table = Table("machine", "model", "metric", "value", "baseline", title="Metrics on the test part")
    for machine, model, metrics in rows:
        if model == "gru":
            persistence = "persistence {:.4g}"
            for name in ("rmse", "mae"):
                baseline = persistence.format(metrics[f"{name}_persistence"])
                table.add_row(machine, model, name, f"{metrics[name]:.4g}", baseline)
            table.add_row(machine, model, "skill", _number(metrics["skill"]), "persistence 0")
        else:
            for name, baseline in (("auc_score", "chance 0.5"), ("average_precision", "")):
                table.add_row(machine, model, name, _number(metrics.get(name)), baseline)
    return table


def _table(rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(*HEADINGS, box=None)
    for row in rows:
        table.add_row(*row)
    return table


def _number(value: float | None) -> str:
    return "not defined" if value is None else f"{value:.4g}"
