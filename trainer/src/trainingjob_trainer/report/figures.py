"""The figures of the report: those of the model type, and the coverage of the data that every type has."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.report import plots
from trainingjob_trainer.report.content import Drawing
from trainingjob_trainer.report.facts import covered_share

logger = logging.getLogger(__name__)
_COVERAGE_BINS = 240


@dataclass(frozen=True)
class Figure:
    """One figure.

    Attributes:
        title: Its heading.
        explanation: What it shows and what it leaves out, or why it could not be drawn.
        svg: The plot; empty where it could not be drawn.
    """

    title: str
    explanation: str
    svg: str


def draw_figures(figures: Mapping[str, Callable[[], Drawing | None]]) -> tuple[Sequence[Figure], Sequence[str]]:
    """Draws every figure that there is data for.

    Args:
        figures: Title to the function that draws it.

    Returns:
        The figures, and the titles of those that could not be drawn.
    """
    drawn = []
    undrawn = []
    for title, draw in figures.items():
        try:
            drawing = draw()
        except Exception as error:
            logger.exception("figure %r of the report could not be drawn", title)
            undrawn.append(title)
            drawing = f"This figure could not be drawn ({type(error).__name__}: {error}).", ""
        if drawing:
            drawn.append(Figure(title, *drawing))
    return drawn, undrawn


def coverage(dataset: Dataset) -> Drawing:
    """Share of the time that has data."""
    times, summary = dataset.timestamps, dataset.summary
    edges, share = covered_share(times, dataset.segments, summary.step_seconds, _COVERAGE_BINS)
    return (
        f"Share of the time that has data: {summary.rows_used:,} rows in {summary.segments:,} "
        f"{'stretch' if summary.segments == 1 else 'stretches'} without a gap, {np.mean(share):.0%} of the time.",
        plots.coverage(edges, share, times[dataset.test_start]),
    )
