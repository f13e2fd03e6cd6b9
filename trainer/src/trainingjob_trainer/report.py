"""The report of a run: one HTML page with everything inside, for the person who asks whether to trust the model."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trainingjob_trainer import report_plots
from trainingjob_trainer.prepared import Prepared, TrainedModel

_ENVIRONMENT = Environment(
    loader=PackageLoader("trainingjob_trainer", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_BASELINES = ("persistence", "mean", "ridge")
_HEADLINES = {
    "gru": ("skill", "skill_running", "rmse", "mae", "r2"),
    "xgb": ("auc_score", "average_precision", "failure_events_train", "failure_events_test"),
}


def render_report(model_type: str, prepared: Prepared, trained: TrainedModel, parameters: Mapping[str, Any]) -> bytes:
    """Draws the report of one trained model.

    Args:
        model_type: ``gru`` or ``xgb``.
        prepared: The data it was trained on.
        trained: The model; ``trained.report`` holds the arrays to draw, and what is absent is not drawn.
        parameters: The resolved parameters of the training, by name.

    Returns:
        A UTF-8 HTML page without any reference to another file. Every text in it is escaped, so a hostile machine
        or column name shows as it is spelled.
    """
    page = _ENVIRONMENT.get_template("report.html.jinja").render(
        machine=prepared.machine,
        model_type=model_type,
        summary_line=trained.summary,
        headlines=[
            (name, _number(trained.metrics[name])) for name in _HEADLINES[model_type] if name in trained.metrics
        ],
        comparison=_comparison(trained.metrics) if model_type == "gru" else [],
        plots=_plots(model_type, prepared, trained.report),
        data=prepared.summary,
        border=_instant(prepared.timestamps[prepared.border]),
        start=_instant(prepared.summary.start),
        end=_instant(prepared.summary.end),
        features=prepared.features,
        metrics=dict(_flat(trained.metrics)),
        parameters={name: _number(value) for name, value in sorted(parameters.items())},
    )
    return page.encode()


def _plots(model_type: str, prepared: Prepared, report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Title, explanation and SVG of every plot there is data for."""
    plots = []
    if "history" in report:
        plots.append(
            ("Learning curves", "Mean squared error, in units of the score.", report_plots.history(report["history"]))
        )
    if model_type == "gru":
        times, actual, predicted = report["test_timestamps"], report["actual"], report["predicted"]
        plots.append(
            (
                "Predicted and actual",
                "The end of the test part. Persistence is the last known score: the line to beat.",
                report_plots.prediction(times, actual, predicted, report["persistence"]),
            )
        )
        plots.append(
            (
                "Residuals",
                "Predicted less actual over the whole test part.",
                report_plots.residuals(predicted - actual, report["persistence"] - actual),
            )
        )
    elif len(np.unique(report["label"])) > 1:
        plots.append(
            (
                "Precision and recall",
                "On the test part; the dot is the proposed operating threshold.",
                report_plots.precision_recall(report["label"], report["probability"], report["threshold"]),
            )
        )
        plots.append(
            (
                "Calibration",
                "Share of rows before a failure, by predicted probability.",
                report_plots.calibration(report["label"], report["probability"]),
            )
        )
    if report.get("importance"):
        plots.append(
            (
                "Importance of the features",
                "What permuting a feature in the test part costs, in " + report["importance_unit"] + ".",
                report_plots.importance(report["importance"]),
            )
        )
    plots.append(
        (
            "Coverage",
            "Rows over time; the dashed line parts training and test, white is a gap.",
            report_plots.coverage(prepared.timestamps, prepared.border),
        )
    )
    return plots


def _comparison(metrics: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Rows of the table of the model against its baselines: name, RMSE, MAE, R2."""
    rivals = [("this model", "")] + [(name, f"_{name}") for name in _BASELINES if f"rmse_{name}" in metrics]
    return [
        (
            name,
            _number(metrics.get("rmse" + suffix)),
            _number(metrics.get("mae" + suffix)),
            _number(metrics.get("r2" + suffix)),
        )
        for name, suffix in rivals
    ]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every single value, one inside another mapping under both names; lists are shown elsewhere in the page."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif not isinstance(value, list | tuple):
            yield f"{prefix}{name}", _number(value)


def _number(value: Any) -> str:
    if value is None:
        return "not defined"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(value)


def _instant(value: np.datetime64) -> str:
    return str(value.astype("datetime64[s]")).replace("T", " ") + " UTC"
