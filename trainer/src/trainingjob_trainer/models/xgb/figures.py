"""The figures that the report of an xgb model shows."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from trainingjob_trainer.data.dataset import TrainedModel
from trainingjob_trainer.report import plots
from trainingjob_trainer.report.content import Drawing


def figures(trained: TrainedModel) -> Mapping[str, Callable[[], Drawing | None]]:
    """Title to the function that draws it; a curve of one class alone is not drawn."""
    return {
        "Precision and recall": partial(_precision_recall, trained.report),
        "Calibration": partial(_calibration, trained.report),
    }


def _precision_recall(report: Mapping[str, Any]) -> Drawing | None:
    if len(np.unique(report["label"])) < 2:
        return None
    return (
        "On the test part; the dot is the proposed operating threshold.",
        plots.precision_recall(report["label"], report["probability"], report["threshold"]),
    )


def _calibration(report: Mapping[str, Any]) -> Drawing | None:
    if len(np.unique(report["label"])) < 2:
        return None
    return (
        "Share of test rows before a failure, by predicted probability.",
        plots.calibration(report["label"], report["probability"]),
    )
