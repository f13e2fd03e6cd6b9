"""The model metrics that gates, the status and the termination message use."""

from dataclasses import dataclass

from trainingjob_api.values import ModelType


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a model, measured on the test part.

    Attributes:
        name: Its key in ``status.metrics`` and in the registry.
        model_type: The model type that has it.
        unit: ``score`` is the unit of the health score, 0 to 1; ``share`` is a fraction of rows, 0 to 1; empty for
            none.
        meaning: One sentence, in Markdown.
        gate: Whether ``spec.gates`` may name it.
        kept: Whether it is kept in a termination message that is too long for all metrics.
    """

    name: str
    model_type: ModelType
    unit: str
    meaning: str
    gate: bool = True
    kept: bool = False


IMPROVEMENT = "improvement"
"""The metric that compares a model with the registered one. Where nothing can be compared, it has no value, and a gate
on it passes."""

METRICS = (
    Metric("mae", "gru", "score", "Mean absolute error.", kept=True),
    Metric("rmse", "gru", "score", "Root mean squared error.", kept=True),
    Metric("mse", "gru", "score²", "Mean squared error."),
    Metric("r2", "gru", "", "Coefficient of determination.", kept=True),
    Metric("skill", "gru", "", "1 minus RMSE divided by the RMSE of the last known score; 0 is no gain.", kept=True),
    Metric("rmse_running", "gru", "score", "`rmse` over the windows whose target row has the engine running."),
    Metric("skill_running", "gru", "", "`skill` over the same windows."),
    Metric(
        IMPROVEMENT,
        "gru",
        "",
        "1 minus RMSE divided by the RMSE of the newest registered model on the same test windows; 0 is no gain.",
        kept=True,
    ),
    Metric("rmse_persistence", "gru", "score", "RMSE of predicting the last known score again.", gate=False, kept=True),
    Metric("auc_score", "xgb", "", "Area under the ROC curve.", kept=True),
    Metric("average_precision", "xgb", "", "Area under the precision-recall curve, by average precision.", kept=True),
    Metric("precision", "xgb", "share", "Precision at the probability 0.5."),
    Metric("recall", "xgb", "share", "Recall at the probability 0.5."),
    Metric("precision_at_threshold", "xgb", "share", "Precision at the operating threshold.", kept=True),
    Metric("recall_at_threshold", "xgb", "share", "Recall at the operating threshold.", kept=True),
    Metric(
        IMPROVEMENT,
        "xgb",
        "",
        "`average_precision` minus that of the newest registered model on the same test rows; 0 is no gain.",
        kept=True,
    ),
)
"""Every such metric of each model type, in the order in which messages and documentation list them."""

KEPT_METRICS = tuple(dict.fromkeys(metric.name for metric in METRICS if metric.kept))
"""Metrics that a termination message keeps when it is too long for all."""


def gate_metrics(model_type: ModelType) -> tuple[str, ...]:
    """Names of the metrics of a model type that a gate may name."""
    return tuple(metric.name for metric in METRICS if metric.gate and metric.model_type == model_type)
