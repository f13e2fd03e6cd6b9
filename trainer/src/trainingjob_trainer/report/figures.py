"""The figures of the report: what each shows of a trained model, as a plot and in words."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainingjob_trainer.data.dataset import Prepared, TrainedModel
from trainingjob_trainer.report import plots as report_plots
from trainingjob_trainer.report.facts import Floats, axis_without_gaps, covered_share, reach_of_errors

_LOG = logging.getLogger(__name__)
_SHOWN_WINDOWS = 300
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


def draw_figures(model_type: str, prepared: Prepared, trained: TrainedModel) -> tuple[Sequence[Figure], Sequence[str]]:
    """Draws every figure of a model type that there is data for.

    Returns:
        The figures, and the titles of those that could not be drawn.
    """
    figures = []
    undrawn = []
    for title, draw in _FIGURES[model_type].items():
        try:
            drawn = draw(prepared, trained)
        except Exception as error:  # noqa: BLE001 - a fault in a figure must not fail a trained model
            _LOG.exception("figure %r of the report could not be drawn", title)
            undrawn.append(title)
            drawn = f"This figure could not be drawn ({type(error).__name__}: {error}).", ""
        if drawn:
            figures.append(Figure(title, *drawn))
    return figures, undrawn


def _learning_curves(_: Prepared, trained: TrainedModel) -> tuple[str, str]:
    losses = trained.report["history"]
    curves = {"training": np.sqrt(losses["loss"]), "validation": np.sqrt(losses["validation_loss"])}
    return "Root mean squared error by epoch, in units of the score.", report_plots.history(curves)


def _prediction(prepared: Prepared, trained: TrainedModel) -> tuple[str, str]:
    times = trained.report["test_timestamps"]
    shown = slice(-_SHOWN_WINDOWS, None)
    axis = axis_without_gaps(np.searchsorted(prepared.timestamps, times[shown]))
    curves = (trained.report[name][shown] for name in ("actual", "predicted", "persistence"))
    which = f"The last {_SHOWN_WINDOWS} of {len(times):,}" if len(times) > _SHOWN_WINDOWS else f"All {len(times)}"
    gaps = " A grey line is a gap, whose time is left out." if len(axis.cuts) else ""
    return (
        f"{which} test windows. Persistence, the last known score, is the line to beat.{gaps}",
        report_plots.prediction(axis, times[shown], *curves),
    )


def _residuals(_: Prepared, trained: TrainedModel) -> tuple[str, str]:
    actual = trained.report["actual"].astype(np.float64)
    errors = {"this model": trained.report["predicted"] - actual, "persistence": trained.report["persistence"] - actual}
    reach = reach_of_errors(*errors.values())
    outside = "; ".join(filter(None, (_outside(name, values, reach) for name, values in errors.items())))
    return (
        f"Predicted less actual over all {len(actual):,} test windows."
        + (f" Too large for the axis, and not drawn: {outside}." if outside else ""),
        report_plots.residuals(errors["this model"], errors["persistence"], reach),
    )


def _outside(name: str, errors: Floats, reach: float) -> str:
    large = errors[np.abs(errors) > reach]
    return f"{len(large):,} of {name}, the largest {large[np.abs(large).argmax()]:.3g}" if len(large) else ""


def _precision_recall(_: Prepared, trained: TrainedModel) -> tuple[str, str] | None:
    report = trained.report
    if len(np.unique(report["label"])) < 2:
        return None
    return (
        "On the test part; the dot is the proposed operating threshold.",
        report_plots.precision_recall(report["label"], report["probability"], report["threshold"]),
    )


def _calibration(_: Prepared, trained: TrainedModel) -> tuple[str, str] | None:
    report = trained.report
    if len(np.unique(report["label"])) < 2:
        return None
    return (
        "Share of test rows before a failure, by predicted probability.",
        report_plots.calibration(report["label"], report["probability"]),
    )


def _coverage(prepared: Prepared, _: TrainedModel) -> tuple[str, str]:
    times, summary = prepared.timestamps, prepared.summary
    edges, share = covered_share(times, prepared.segments, summary.step_seconds, _COVERAGE_BINS)
    return (
        f"Share of the time that has data: {summary.rows_used:,} rows in {summary.segments:,} "
        f"{'stretch' if summary.segments == 1 else 'stretches'} without a gap, {np.mean(share):.0%} of the time.",
        report_plots.coverage(edges, share, times[prepared.border]),
    )


_FIGURES: Mapping[str, Mapping[str, Callable[[Prepared, TrainedModel], tuple[str, str] | None]]] = {
    "gru": {
        "Learning curves": _learning_curves,
        "Predicted and actual": _prediction,
        "Residuals": _residuals,
        "Coverage": _coverage,
    },
    "xgb": {"Precision and recall": _precision_recall, "Calibration": _calibration, "Coverage": _coverage},
}
