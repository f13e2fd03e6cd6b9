"""The page of a fleet and its JSON: every machine, worst first, one file, safe against hostile names."""

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any

import pytest

from trainingjob_api.fleet_run import MachineState
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import Window
from trainingjob_trainer.report.fleet import FleetSummary, MachineRow, fleet_json
from trainingjob_trainer.report.fleet_page import fleet_page

START = datetime(2026, 3, 2, 2, 30, tzinfo=UTC)
END = START + timedelta(minutes=31)
HOSTILE = "</script><script>alert(1)</script>\"'&bomba \u65e5\u672c"
PAGE_URI = "s3://models/runs/fleets/plant-rental/2026_03_02_02_30_00/report.html"


def row(
    machine: str, state: MachineState = MachineState.REGISTERED, skill: float | None = 0.25, **more: Any
) -> MachineRow:
    metrics = {} if skill is None else {"skill": skill, "rmse": 0.02, "rmse_persistence": 0.03}
    return MachineRow(machine, state, metrics=metrics, **more)


def summary(*machines: MachineRow, model_type: str = "gru") -> FleetSummary:
    window = Window(start=START - timedelta(days=90), end=START)
    return FleetSummary("plant", "rental", "u" * 36, 3, 1, model_type, window, START, END, machines, page_uri=PAGE_URI)


class _Page(HTMLParser):
    """The tags, the links, and the texts of the cells of the table's body."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.cells: list[list[str]] = []
        self.script = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.cells.append([])
        if tag == "td":
            self.cells[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script":
            self.script += data.strip() and data
        elif self.cells and self.cells[-1]:
            self.cells[-1][-1] += data.strip("\n")

    def machines(self) -> list[str]:
        return [cells[0] for cells in self.cells if cells]


def attributes(page: _Page, name: str) -> list[str]:
    return [value for _, attrs in page.tags if (value := attrs.get(name)) is not None]


def test_the_worst_machine_comes_first_in_the_page_and_in_the_json() -> None:
    fleet = summary(
        row("good", skill=0.4),
        row("adopted", MachineState.REUSED, 0.1),
        row("unknown", MachineState.FRESH, None),
        row("refused", MachineState.REJECTED, -0.5),
        row("broken", MachineState.FAILED, None),
    )
    expected = ["broken", "refused", "unknown", "adopted", "good"]
    assert _Page(fleet_page(fleet)).machines() == expected
    assert [machine["machine"] for machine in json.loads(fleet_json(fleet))["machines"]] == expected


def test_a_row_has_quality_rows_period_and_age_of_the_model() -> None:
    machine = row(
        "M1",
        rows=12_345,
        data_start=START - timedelta(days=90),
        data_end=START - timedelta(days=1),
        registered_at=END - timedelta(days=8, hours=3),
        reason="Completed",
        message="Done.",
    )
    ((_, *cells),) = [cells for cells in _Page(fleet_page(summary(machine))).cells if cells]
    assert cells == [
        "registered", "0.25", "0.02", "0.03", "12,345", "2025-12-02 to 2026-03-01", "8 days", "Completed Done.",
    ]  # fmt: skip


def test_an_xgb_fleet_shows_average_precision_instead_of_skill() -> None:
    machine = replace(row("M1"), metrics={"average_precision": 0.625, "auc_score": 0.9})
    page = fleet_page(summary(machine, model_type="xgb"))
    assert _Page(page).cells[-1][:4] == ["M1", "registered", "0.625", "0.9"]
    assert b"Distribution of average precision" in page
    assert b"skill" not in page


def test_a_hostile_name_is_text_and_the_page_loads_nothing() -> None:
    machine = row(HOSTILE, message=HOSTILE, reason=HOSTILE, report_uri=f"s3://models/runs/{HOSTILE}/report.html")
    fleet = replace(summary(machine, replace(machine, state=MachineState.FAILED)), name=HOSTILE, notes=(HOSTILE,))
    page = _Page(fleet_page(fleet))
    assert page.machines() == [HOSTILE, HOSTILE]
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not attributes(page, "src")
    assert all(re.fullmatch(r"\.\./\.\./\.\./[\w%./-]+", link) for link in attributes(page, "href"))
    assert json.loads(fleet_json(fleet))["machines"][0]["machine"] == HOSTILE


def test_the_content_security_policy_allows_the_script_of_the_page_alone() -> None:
    page = _Page(fleet_page(summary(row("M1"))))
    (policy,) = [
        attrs["content"] or "" for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(sha256(page.script.encode()).digest()).decode()
    assert page.script
    assert policy == f"default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'sha256-{digest}'"


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("s3://models/runs/M1/2026_03_02_02_31_00/report.html", "../../../M1/2026_03_02_02_31_00/report.html"),
        ("s3://models/runs/fleets/plant-rental/2026_03_02_02_30_00/javascript:x", "javascript%3Ax"),
        ("s3://other/runs/M1/report.html", None),
        ("javascript:alert(1)", None),
        ("", None),
    ],
)
def test_a_machine_links_to_its_report_in_the_same_bucket_only(uri: str, link: str | None) -> None:
    assert attributes(_Page(fleet_page(summary(row("M1", report_uri=uri)))), "href") == ([link] if link else [])


def test_failures_are_grouped_by_reason_with_what_to_do_in_a_fleet() -> None:
    failed = MachineState.FAILED
    page = fleet_page(
        summary(
            row("M1", failed, None, reason=Reason.DIVERGED, message="The loss was not finite."),
            row("M2", failed, None, reason=Reason.INSUFFICIENT_DATA),
            row("M3", failed, None, reason=Reason.INSUFFICIENT_DATA),
            row("M4", failed, None, reason="Unheard"),
            row("M5", reason=Reason.COMPLETED),
        )
    ).decode()
    assert re.findall(r"<h3>(.*?)</h3>", page) == ["InsufficientData · 2", "Diverged · 1", "Unheard · 1"]
    assert "Lower <code>spec.template.model.gru.learningRate</code>" in page
    assert "<li><bdi>M1</bdi>: The loss was not finite.</li>" in page


@pytest.mark.parametrize("skills", [[], [0.2], [0.2, 0.2], [-50.0, 0.2]])
def test_the_distribution_is_drawn_from_whatever_models_there_are(skills: list[float]) -> None:
    page = fleet_page(summary(*(row(f"M{at}", skill=skill) for at, skill in enumerate(skills)))).decode()
    assert page.count("<svg") == bool(skills)
    assert ("1 below -1 is drawn there." in page) == (-50.0 in skills)


def test_a_fleet_without_a_machine_has_a_page() -> None:
    fleet = summary()
    assert _Page(fleet_page(fleet)).machines() == []
    assert json.loads(fleet_json(fleet))["counts"]["selected"] == 0


def test_the_json_is_strict_and_has_counts_and_plain_metrics() -> None:
    machine = replace(row("M1", seconds=4.5), metrics={"skill": 0.25, "rmse": float("nan"), "versions": {"keras": "3"}})
    content = json.loads(fleet_json(summary(machine, row("M2", MachineState.FAILED, None))), parse_constant=pytest.fail)
    assert content["machines"][1]["metrics"] == {"skill": 0.25}
    assert content["counts"] == {
        "selected": 2, "waiting": 0, "running": 0, "registered": 1, "reused": 0, "fresh": 0, "rejected": 0, "failed": 1,
    }  # fmt: skip
    assert content["window"] == {"start": "2025-12-02T02:30:00Z", "end": "2026-03-02T02:30:00Z"}


def test_the_line_counts_models_that_the_run_asked_for_and_their_median() -> None:
    machines = [row("M1", skill=0.1), row("M2", MachineState.FRESH, 0.3), row("M3", MachineState.REJECTED, -1)]
    assert summary(*machines).line == "2 of 3, median skill 0.20"
    assert summary(row("M1", MachineState.FAILED, None)).line == "0 of 1"
