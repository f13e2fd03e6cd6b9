"""Renders the report of a run: one self-contained HTML page to judge the quality of the model."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from trainingjob_trainer.data.dataset import Dataset, ModelFile, TrainedModel
from trainingjob_trainer.report.content import ReportContent
from trainingjob_trainer.report.figures import coverage, draw_figures
from trainingjob_trainer.report.formats import duration, instant, number
from trainingjob_trainer.report.templates import TEMPLATES

logger = logging.getLogger(__name__)
_SHOWN_FEATURES = 12
_LOOK = "The log of the trainer says why."


@dataclass(frozen=True)
class Report:
    """A rendered report.

    Attributes:
        files: The page; empty when it could not be rendered.
        warnings: Missing parts of the report, as complete sentences.
    """

    files: Sequence[ModelFile]
    warnings: Sequence[str]


class ReportSource(Protocol):
    """The part of a model type that the report uses."""

    @property
    def name(self) -> str:
        """The value of ``spec.model.type``."""
        ...

    def report(self, dataset: Any, trained: TrainedModel) -> ReportContent:
        """The contents of the report that are specific to this type."""
        ...


def draw_report(
    model_type: ReportSource, dataset: Dataset, trained: TrainedModel, parameters: Mapping[str, Any]
) -> Report:
    """Draws the report of one trained model, or as much of it as can be drawn.

    Raises no exception: a fault in a drawing must not fail a model that is trained. It is logged, the page names what
    is missing, and so does a warning.

    Args:
        model_type: Gives what differs between model types.
        dataset: The data it was trained on.
        trained: The model; ``trained.report`` holds the arrays to draw, and what is absent is not drawn.
        parameters: The resolved parameters of the training, by name.

    Returns:
        A UTF-8 HTML page without any reference to another file. Every text in it is escaped, so a hostile machine
        or column name shows as it is spelled.
    """
    try:
        content = model_type.report(dataset, trained)
        figures, undrawn = draw_figures({**content.figures, "Coverage": partial(coverage, dataset)})
        warnings = [f"The report lacks what could not be drawn: {', '.join(undrawn)}. {_LOOK}"] if undrawn else []
        page = TEMPLATES.get_template("page.html.jinja").render(
            **_content(content, dataset, trained),
            model_type=model_type.name,
            warnings=dict.fromkeys((*dataset.summary.warnings, *warnings)),
            figures=figures,
            parameters={name: number(value) for name, value in parameters.items()},
        )
    except Exception as error:
        logger.exception("the report could not be written")
        return Report([], [f"The model has no report ({type(error).__name__}: {error}). {_LOOK}"])
    return Report([ModelFile("report", ".html", page.encode())], warnings)


def _content(content: ReportContent, dataset: Dataset, trained: TrainedModel) -> dict[str, Any]:
    """Numbers and instants of the page as text."""
    metrics, summary, comparison = trained.metrics, dataset.summary, content.comparison
    return {
        "machine": dataset.machine,
        "summary_line": trained.summary,
        "headlines": [
            (label, number(metrics[name]))
            for name, label in {**content.headlines, "improvement": "improvement"}.items()
            if metrics.get(name) is not None
        ],
        "comparison_with_registered": trained.report.get("comparison", ""),
        "columns": comparison.columns if comparison else (),
        "comparison": [(name, [number(value) for value in values]) for name, values in comparison.rows]
        if comparison
        else [],
        "importance": _importance(trained.report.get("importance", {})),
        "importance_unit": trained.report.get("importance_unit"),
        "data": summary,
        "step": duration(summary.step_seconds),
        "test_start": instant(dataset.timestamps[dataset.test_start]),
        "start": instant(summary.start),
        "end": instant(summary.end),
        "features": dataset.features,
        "metrics": dict(_flat(metrics)),
    }


def _importance(costs: Mapping[str, float]) -> list[tuple[str, str, float]]:
    """The most important features, the greatest first: name, cost, and length of the bar in percent."""
    shown = sorted(costs.items(), key=lambda item: -item[1])[:_SHOWN_FEATURES]
    return [(name, number(cost), max(0.0, 100 * cost / max(shown[0][1], cost, 1e-12))) for name, cost in shown]


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every single value, one inside another mapping under both names; lists are shown elsewhere in the page."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name} ")
        elif not isinstance(value, list | tuple):
            yield f"{prefix}{name}", number(value)
