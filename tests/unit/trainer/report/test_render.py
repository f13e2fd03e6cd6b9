"""The report is one file with all given content, in which malicious text is escaped."""

import html
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainingjob_trainer.data.dataset import Dataset, DataSummary, TrainedModel
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.report.render import draw_report

GRU = ModelFactory.create("gru")
HOSTILE = "<script>alert(1)</script>\"'&$x^2$"
ROWS = 400


def dataset(machine: str = "MOTOBOMBA-007") -> Dataset:
    times = np.datetime64("2025-01-01", "us") + np.arange(ROWS) * np.timedelta64(10, "s")
    everywhere = np.ones(ROWS, dtype=bool)
    return Dataset(
        machine=machine,
        frame=pd.DataFrame({HOSTILE: np.zeros(ROWS, np.float32)}),
        timestamps=times,
        segments=np.zeros(ROWS, np.int32),
        test_start=320,
        features=(HOSTILE,),
        running=everywhere,
        summary=DataSummary(
            rows_read=ROWS,
            rows_used=ROWS,
            segments=1,
            step_seconds=10.0,
            fingerprint="0" * 64,
            start=times[0],
            end=times[-1],
            counts={HOSTILE: 3},
            dropped_columns={HOSTILE: HOSTILE},
            warnings=(HOSTILE,),
        ),
    )


def trained(model_type: str) -> TrainedModel:
    random = np.random.default_rng(0)
    actual = random.random(80)
    report: dict[str, Any] = {"importance": {HOSTILE: 0.5, "Oil_P": 0.25}, "importance_unit": "RMSE"}
    if model_type == "gru":
        metrics: dict[str, Any] = {"skill": 0.31, "rmse": 0.02, "rmse_persistence": 0.03, "r2": None}
        metrics |= {"test_size": 80, "versions": {"keras": "3.15.1"}}
        report |= {
            "history": {"loss": [0.1, 0.01], "validation_loss": [0.2, 0.02]},
            "test_timestamps": dataset().timestamps[320:],
            "actual": actual,
            "predicted": actual + 0.01,
            "persistence": actual - 0.02,
        }
    else:
        metrics = {"test_size": 80, "auc_score": 0.9, "accuracy": 1.0}
        report |= {"label": np.arange(80) % 2, "probability": actual, "threshold": 0.4}
    return TrainedModel(files=(), metrics=metrics, summary="skill 0.31", report=report)


def page_of(model_type: str, dataset: Dataset, trained: TrainedModel, **parameters: Any) -> str:
    report = draw_report(ModelFactory.create(model_type), dataset, trained, parameters)
    assert report.warnings == []
    ((role, suffix, content),) = [(file.role, file.suffix, file.content.decode()) for file in report.files]
    assert (role, suffix) == ("report", ".html")
    return content


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


@pytest.mark.parametrize("model_type", ["gru", "xgb"])
def test_malicious_names_are_escaped_and_the_page_loads_nothing_external(model_type: str) -> None:
    page = page_of(model_type, dataset(HOSTILE), trained(model_type), **{HOSTILE: HOSTILE})
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert all(reference.startswith("#") for reference in tags.references)
    assert not re.search(r"url\((?!#)", page)


def test_the_gru_report_compares_with_persistence_and_has_every_figure() -> None:
    page = page_of("gru", dataset(), trained("gru"), units=[64, 32])
    assert page.count("<svg") == 4
    assert re.search(r"persistence</td><td[^>]*>0\.03<", page)
    assert "not defined</td>" in page
    assert re.search(r"versions keras</td><td[^>]*>3\.15\.1<", page)


def test_the_xgb_report_omits_curves_without_a_positive_test_label() -> None:
    model = trained("xgb")
    one_class = replace(model, report={**model.report, "label": np.zeros(80, dtype=int)})
    assert page_of("xgb", dataset(), model).count("<svg") == 3
    assert page_of("xgb", dataset(), one_class).count("<svg") == 1


@pytest.mark.parametrize("model_type", ["gru", "xgb"])
def test_the_page_starts_with_the_warnings_and_the_size_of_the_test_part(model_type: str) -> None:
    data = dataset()
    warned = replace(data, summary=replace(data.summary, warnings=("Few events.", "Few events.", "Low skill.")))
    first_screen, rest = page_of(model_type, warned, trained(model_type)).split("<h2>", 1)
    assert re.findall(r'class="warning">(.*?)<', first_screen) == ["Few events.", "Low skill."]
    assert re.search(r"<b>80</b><span>test (windows|rows)<", first_screen)
    assert first_screen.index("Low skill.") < first_screen.index("<b>80</b>")
    assert "Few events." not in rest
    assert "accuracy" not in first_screen
    assert "not defined" not in first_screen


def test_numbers_are_formatted_for_readers() -> None:
    data = dataset()
    hourly = replace(data, summary=replace(data.summary, step_seconds=3600.0, rows_read=1_234_567))
    page = page_of("gru", hourly, trained("gru"), learningRate=0.00001, large=123456.7, flag=True)
    shown = dict(re.findall(r"<tr><td>([^<]*)</td><td[^>]*>([^<]*)</td></tr>", page))
    assert (shown["median step"], shown["rows read"]) == ("60 min", "1,234,567")
    assert (shown["learningRate"], shown["large"], shown["flag"]) == ("0.00001", "123,457", "True")


def test_the_residual_plot_reports_the_errors_outside_its_axis() -> None:
    model = trained("gru")
    predicted = model.report["predicted"].copy()
    predicted[7] -= 1.51
    page = page_of("gru", dataset(), replace(model, report={**model.report, "predicted": predicted}))
    assert "not drawn: 1 of this model, the largest -1.5." in page
    assert "not drawn" not in page_of("gru", dataset(), model)


def test_a_figure_that_fails_is_reported_and_the_others_are_drawn() -> None:
    long_ago = np.concatenate(([np.datetime64("-0044-03-15", "us")], dataset().timestamps[1:]))
    report = draw_report(GRU, replace(dataset(), timestamps=long_ago), trained("gru"), {})
    (warning,) = report.warnings
    assert "could not be drawn: Coverage." in warning
    page = report.files[0].content.decode()
    assert page.count("<svg") == 3
    assert warning in html.unescape(page.split("<h2>", 1)[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [("history", None), ("predicted", np.zeros(0)), ("actual", np.full(3, np.inf)), ("test_timestamps", "text")],
)
def test_arrays_that_cannot_be_drawn_do_not_fail_the_run(name: str, value: Any) -> None:
    model = trained("gru")
    report = draw_report(GRU, dataset(), replace(model, report={**model.report, name: value}), {})
    assert len(report.files) == len(report.warnings) == 1


def test_a_page_that_cannot_be_written_gives_a_warning_and_no_report() -> None:
    report = draw_report(GRU, replace(dataset(), test_start=ROWS), trained("gru"), {})
    assert report.files == []
    assert report.warnings[0].startswith("The model has no report (IndexError: ")


@pytest.mark.parametrize("model_type", ["gru", "xgb"])
def test_the_comparison_with_the_registered_model_is_on_the_first_screen(model_type: str) -> None:
    model = trained(model_type)
    sentence = f"Compared with model_{HOSTILE}, registered 8 days ago."
    compared = replace(
        model, metrics={**model.metrics, "improvement": -0.25}, report={**model.report, "comparison": sentence}
    )
    first_screen = page_of(model_type, dataset(), compared).split("<h2>", 1)[0]
    assert "<b>-0.25</b><span>improvement</span>" in first_screen
    assert sentence in html.unescape(first_screen)
    assert "improvement" not in page_of(model_type, dataset(), model)
