"""Renders the page of a fleet: one self-contained HTML file with every machine in a table."""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from posixpath import dirname, relpath
from urllib.parse import quote, urlsplit

import numpy as np
from markupsafe import Markup

from trainingjob_api.fleet_run import GOOD_STATES, SELECTED, MachineState
from trainingjob_api.reasons import EXPLANATIONS, Explanation, Reason
from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.report import plots
from trainingjob_trainer.report.figures import Figure
from trainingjob_trainer.report.fleet import FleetSummary, MachineRow, finite
from trainingjob_trainer.report.formats import duration, number
from trainingjob_trainer.report.templates import TEMPLATES

_COLUMNS = {
    "gru": {"skill": "skill", "rmse": "RMSE", "rmse_persistence": "persistence RMSE"},
    "xgb": {"average_precision": "average precision", "auc_score": "ROC AUC"},
}
_LOWEST_DRAWN = -1.0
_OF_TEMPLATE = re.compile(r"\bspec\.(?=(?:model|data|artifacts|gates|reuse)\b)")
_SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class _Cell:
    """A cell with a number.

    Attributes:
        text: As shown.
        key: What the cell is sorted by; empty sorts last.
    """

    text: str = ""
    key: float | str = ""


@dataclass(frozen=True)
class _Line:
    """A machine in the table; ``href`` is empty where it has no report."""

    row: MachineRow
    href: str
    numbers: Sequence[_Cell]


@dataclass(frozen=True)
class _Group:
    """The machines that failed or were rejected for the same reason."""

    reason: str
    meaning: Markup
    action: Markup
    rows: Sequence[MachineRow]


def fleet_page(summary: FleetSummary) -> bytes:
    """Render the result of a run of a fleet.

    Returns:
        A UTF-8 HTML page. It loads nothing, and links only to reports in its own bucket, by relative paths, so the
        links hold wherever the bucket is served or copied to. Every text in it is escaped. Without scripts the table
        is complete, in the order of ``FleetSummary.worst_first``.
    """
    rows = summary.worst_first()
    script = _source("fleet.js")
    columns = _COLUMNS[summary.model_type]
    return (
        TEMPLATES.get_template("fleet.html.jinja")
        .render(
            summary=summary,
            counts={name: count for name, count in summary.counts.items() if name != SELECTED and count},
            started=_instant(summary.started),
            completed=_instant(summary.completed),
            took=duration((summary.completed - summary.started).total_seconds()),
            window=_window(summary),
            figure=_distribution(summary),
            groups=list(_groups(rows)),
            columns=[*columns.values(), "rows", "data", "age of its model"],
            lines=[_line(row, summary, columns) for row in rows],
            script=Markup(script),
            script_hash=base64.b64encode(sha256(script.encode()).digest()).decode(),
        )
        .encode()
    )


def _source(name: str) -> str:
    """The text of a file beside the templates."""
    if TEMPLATES.loader is None:
        raise LookupError("the templates have no loader")
    return TEMPLATES.loader.get_source(TEMPLATES, name)[0]


def _line(row: MachineRow, summary: FleetSummary, columns: Iterable[str]) -> _Line:
    metrics = (finite(row.metrics.get(name)) for name in columns)
    numbers = [_Cell() if value is None else _Cell(number(value), value) for value in metrics]
    numbers.append(_Cell() if row.rows is None else _Cell(f"{row.rows:,}", row.rows))
    numbers.append(_period(row))
    numbers.append(_age(row.registered_at, summary.completed))
    return _Line(row, _link(row.report_uri, summary.page_uri), numbers)


def _period(row: MachineRow) -> _Cell:
    if row.data_start is None or row.data_end is None:
        return _Cell()
    return _Cell(f"{_day(row.data_start)} to {_day(row.data_end)}", row.data_end.timestamp())


def _age(registered_at: datetime | None, now: datetime) -> _Cell:
    if registered_at is None:
        return _Cell()
    # The clocks of two programs differ, so a model may be registered after the run.
    seconds = max((now - registered_at).total_seconds(), 0.0)
    days = int(seconds // _SECONDS_PER_DAY)
    return _Cell("new" if days < 1 else f"{days} day{'s' if days > 1 else ''}", seconds)


def _link(uri: str, page_uri: str) -> str:
    """The path from the page to another object of its bucket, fit for a link; empty where there is none."""
    target, page = urlsplit(uri), urlsplit(page_uri)
    if not uri or (target.scheme, target.netloc) != (page.scheme, page.netloc):
        return ""
    return quote(relpath(target.path, dirname(page.path)))


def _distribution(summary: FleetSummary) -> Figure | None:
    """The histogram of the models' quality; None without any."""
    in_use = _values(summary, GOOD_STATES)
    rejected = _values(summary, (MachineState.REJECTED,))
    if not in_use.size + rejected.size:
        return None
    below = int(np.count_nonzero(np.concatenate((in_use, rejected)) < _LOWEST_DRAWN))
    label = summary.quality.replace("_", " ")
    models = in_use.size + rejected.size
    text = f"{label.capitalize()} of {models:,} model{'s' if models > 1 else ''}, on the test part of each machine."
    if summary.model_type == "gru":
        text += " Above 0 a model predicts better than persistence, which expects the last score again."
    if below:
        text += f" {below:,} below {_LOWEST_DRAWN:g} {'are' if below > 1 else 'is'} drawn there."
    drawn = plots.distribution(np.maximum(in_use, _LOWEST_DRAWN), np.maximum(rejected, _LOWEST_DRAWN), label)
    return Figure(f"Distribution of {label}", text, drawn)


def _values(summary: FleetSummary, states: Sequence[MachineState]) -> Floats:
    rows = (row for row in summary.machines if row.state in states)
    return np.array([value for row in rows if (value := summary.quality_of(row)) is not None], dtype=np.float64)


def _groups(rows: Sequence[MachineRow]) -> Iterator[_Group]:
    """Failed and rejected machines by reason, the most frequent first."""
    without = [row for row in rows if row.state in (MachineState.FAILED, MachineState.REJECTED)]
    groups = {reason: [row for row in without if row.reason == reason] for reason in {row.reason for row in without}}
    for reason, members in sorted(groups.items(), key=lambda group: (-len(group[1]), group[0])):
        known = EXPLANATIONS.get(Reason(reason)) if reason in Reason._value2member_map_ else None
        explanation = known or Explanation("The run gives no reason that is known here.", "Read the messages.")
        yield _Group(reason or "no reason", _markup(explanation.meaning), _markup(explanation.action), members)


def _markup(text: str) -> Markup:
    """A sentence of the explanations, of which the code in backticks becomes an element.

    It names fields of a TrainingJob; in a TrainingFleet some of them stand in its template.
    """
    parts = _OF_TEMPLATE.sub("spec.template.", text).split("`")
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def _window(summary: FleetSummary) -> str:
    start, end = summary.window.start, summary.window.end
    if start is None and end is None:
        return "All data."
    sides = ("from " + _instant(start) if start else "", "to " + _instant(end) if end else "")
    return f"Data {' '.join(filter(None, sides))}."


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d}"


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
