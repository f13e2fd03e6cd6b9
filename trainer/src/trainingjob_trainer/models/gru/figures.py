"""The figures that the report of a gru model shows."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.report import plots
from trainingjob_trainer.report.content import Drawing
from trainingjob_trainer.report.facts import axis_without_gaps, reach_of_errors

_SHOWN_WINDOWS = 300


def figures(dataset: HealthDataset, trained: TrainedModel) -> Mapping[str, Callable[[], Drawing]]:
    """Title to the function that draws it."""
    report = trained.report
    return {
        "Learning curves": partial(_learning_curves, report),
        "Predicted and actual": partial(_prediction, dataset, report),
        "Residuals": partial(_residuals, report),
    }


def _learning_curves(report: Mapping[str, Any]) -> Drawing:
    losses = report["history"]
    curves = {"training": np.sqrt(losses["loss"]), "validation": np.sqrt(losses["validation_loss"])}
    return "Root mean squared error by epoch, in units of the score.", plots.history(curves)


def _prediction(dataset: HealthDataset, report: Mapping[str, Any]) -> Drawing:
    times = report["test_timestamps"]
    shown = slice(-_SHOWN_WINDOWS, None)
    axis = axis_without_gaps(np.searchsorted(dataset.timestamps, times[shown]))
    curves = (report[name][shown] for name in ("actual", "predicted", "persistence"))
    which = f"The last {_SHOWN_WINDOWS} of {len(times):,}" if len(times) > _SHOWN_WINDOWS else f"All {len(times)}"
    gaps = " A grey line is a gap, whose time is left out." if len(axis.cuts) else ""
    return (
        f"{which} test windows. Persistence, the last known score, is the line to beat.{gaps}",
        plots.prediction(axis, times[shown], *curves),
    )


def _residuals(report: Mapping[str, Any]) -> Drawing:
    actual = report["actual"].astype(np.float64)
    errors = {"this model": report["predicted"] - actual, "persistence": report["persistence"] - actual}
    reach = reach_of_errors(*errors.values())
    outside = "; ".join(filter(None, (_outside(name, values, reach) for name, values in errors.items())))
    return (
        f"Predicted less actual over all {len(actual):,} test windows."
        + (f" Too large for the axis, and not drawn: {outside}." if outside else ""),
        plots.residuals(errors["this model"], errors["persistence"], reach),
    )


def _outside(name: str, errors: Floats, reach: float) -> str:
    large = errors[np.abs(errors) > reach]
    return f"{len(large):,} of {name}, the largest {large[np.abs(large).argmax()]:.3g}" if len(large) else ""
