"""The report of a run: one HTML page with everything inside, for the person who asks whether to trust the model."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trainingjob_trainer.data.dataset import ModelFile, Prepared, TrainedModel

if TYPE_CHECKING:
    from trainingjob_trainer.report.figures import Figure

_LOG = logging.getLogger(__name__)
_ENVIRONMENT = Environment(
    loader=PackageLoader("trainingjob_trainer.report", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_BASELINES = ("persistence", "mean", "ridge")
_HEADLINES = {
    "gru": {
        "test_size": "test windows",
        "skill": "skill",
        "skill_running": "skill, engine running",
        "rmse": "RMSE",
        "mae": "MAE",
        "r2": "R2",
    },
    "xgb": {
        "test_size": "test rows",
        "failure_events_test": "failures in the test part",
        "failure_events_train": "failures in the training part",
        "average_precision": "average precision",
        "recall_at_threshold": "recall at the threshold",
        "precision_at_threshold": "precision at the threshold",
    },
}
_SHOWN_FEATURES = 12
_LOOK = "The log of the trainer says why."
_DURATIONS = (("d", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


@dataclass(frozen=True)
class Report:
    """What drawing a report gave.

    Attributes:
        files: The page; nothing where not even that could be drawn.
        warnings: What could not be drawn, in whole sentences.
    """

    files: Sequence[ModelFile]
    warnings: Sequence[str]


def draw_report(model_type: str, prepared: Prepared, trained: TrainedModel, parameters: Mapping[str, Any]) -> Report:
    """Draws the report of one trained model, or as much of it as can be drawn.

    Raises no exception: a fault in a drawing must not fail a model that is trained. It is logged, the page says what
    it lacks, and a warning says so too.

    Args:
        model_type: ``gru`` or ``xgb``.
        prepared: The data it was trained on.
        trained: The model; ``trained.report`` holds the arrays to draw, and what is absent is not drawn.
        parameters: The resolved parameters of the training, by name.

    Returns:
        A UTF-8 HTML page without any reference to another file. Every text in it is escaped, so a hostile machine
        or column name shows as it is spelled.
    """
    try:
        # Importing what draws takes a second, which a run that adopts or fails need not wait for.
        from trainingjob_trainer.report.figures import draw_figures

        figures, undrawn = draw_figures(model_type, prepared, trained)
        warnings = [f"The report lacks what could not be drawn: {', '.join(undrawn)}. {_LOOK}"] if undrawn else []
        page = _page(model_type, prepared, trained, parameters, figures, warnings)
    except Exception as error:  # noqa: BLE001 - a fault in the report must not fail a trained model
        _LOG.exception("the report could not be written")
        return Report([], [f"The model has no report ({type(error).__name__}: {error}). {_LOOK}"])
    return Report([ModelFile("report", ".html", page.encode())], warnings)


def _page(
    model_type: str,
    prepared: Prepared,
    trained: TrainedModel,
    parameters: Mapping[str, Any],
    figures: "Sequence[Figure]",
    warnings: Sequence[str],
) -> str:
    metrics, summary = trained.metrics, prepared.summary
    return _ENVIRONMENT.get_template("page.html.jinja").render(
        machine=prepared.machine,
        model_type=model_type,
        summary_line=trained.summary,
        warnings=dict.fromkeys((*summary.warnings, *warnings)),
        headlines=[
            (label, _number(metrics[name]))
            for name, label in _HEADLINES[model_type].items()
            if metrics.get(name) is not None
        ],
        comparison=_comparison(metrics) if model_type == "gru" else [],
        figures=figures,
        importance=_importance(trained.report.get("importance", {})),
        importance_unit=trained.report.get("importance_unit"),
        data=summary,
        step=_duration(summary.step_seconds),
        border=_instant(prepared.timestamps[prepared.border]),
        start=_instant(summary.start),
        end=_instant(summary.end),
        features=prepared.features,
        metrics=dict(_flat(metrics)),
        parameters={name: _number(value) for name, value in parameters.items()},
    )


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


def _importance(costs: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """The most important features, the greatest first: name, cost, and length of the bar in percent."""
    shown = sorted(costs.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
    return [(name, _number(cost), max(0.0, 100 * cost / max(shown[0][1], cost, 1e-12))) for name, cost in shown]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every single value, one inside another mapping under both names; lists are shown elsewhere in the page."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif not isinstance(value, list | tuple):
            yield f"{prefix}{name}", _number(value)


def _number(value: Any) -> str:
    """A number to four digits without an exponent that a person would have to resolve; whole ones in full."""
    if value is None:
        return "not defined"
    if isinstance(value, float) and abs(value) >= 1000:
        return f"{value:,.0f}"
    if isinstance(value, float) and (abs(value) >= 1e-6 or value == 0):
        return np.format_float_positional(value, precision=4, fractional=False, trim="-")
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if type(value) is int else str(value)


def _duration(seconds: float) -> str:
    unit, length = next((unit for unit in _DURATIONS if seconds >= 2 * unit[1]), _DURATIONS[-1])
    return f"{_number(float(f'{seconds / length:.3g}'))} {unit}"


def _instant(value: np.datetime64) -> str:
    return np.datetime_as_string(value, "m").replace("T", " ") + " UTC"
