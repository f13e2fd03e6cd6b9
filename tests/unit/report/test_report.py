"""The report shows what it was given, in one file, and nothing hostile gets through."""

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainingjob_trainer.prepared import DataSummary, Prepared, TrainedModel
from trainingjob_trainer.report import render_report

HOSTILE = "<script>alert(1)</script>\"'&$x^2$"
ROWS = 400


def prepared(machine: str = "MOTOBOMBA-007") -> Prepared:
    times = np.datetime64("2025-01-01", "us") + np.arange(ROWS) * np.timedelta64(10, "s")
    everywhere = np.ones(ROWS, dtype=bool)
    return Prepared(
        machine=machine,
        frame=pd.DataFrame({HOSTILE: np.zeros(ROWS, np.float32)}),
        timestamps=times,
        segments=np.zeros(ROWS, np.int32),
        border=320,
        features=(HOSTILE,),
        running=everywhere,
        usable=everywhere,
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
        metrics["versions"] = {"keras": "3.15.1"}
        report |= {
            "history": {"loss": [0.1, 0.01], "validation_loss": [0.2, 0.02]},
            "test_timestamps": prepared().timestamps[320:],
            "actual": actual,
            "predicted": actual + 0.01,
            "persistence": actual - 0.02,
        }
    else:
        metrics = {"auc_score": 0.9}
        report |= {"label": np.arange(80) % 2, "probability": actual, "threshold": 0.4}
    return TrainedModel(files=(), metrics=metrics, summary="skill 0.31", report=report)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


@pytest.mark.parametrize("model_type", ["gru", "xgb"])
def test_hostile_names_show_as_text_and_the_page_refers_to_nothing_outside(model_type: str) -> None:
    page = render_report(model_type, prepared(HOSTILE), trained(model_type), {HOSTILE: HOSTILE}).decode()
    tags = _Tags()
    tags.feed(page)
    assert "script" not in tags.names
    assert all(reference.startswith("#") for reference in tags.references)
    assert not re.search(r"url\((?!#)", page)


def test_gru_report_compares_the_model_with_persistence_and_draws_every_plot() -> None:
    page = render_report("gru", prepared(), trained("gru"), {"units": [64, 32]}).decode()
    assert page.count("<svg") == 5
    assert re.search(r"persistence</td><td[^>]*>0\.03<", page)
    assert "not defined" in page
    assert re.search(r"versions keras</td><td[^>]*>3\.15\.1<", page)


def test_xgb_report_without_a_positive_in_the_test_part_leaves_its_curves_out() -> None:
    model = trained("xgb")
    one_class = TrainedModel((), model.metrics, model.summary, {**model.report, "label": np.zeros(80, dtype=int)})
    assert render_report("xgb", prepared(), model, {}).count(b"<svg") == 4
    assert render_report("xgb", prepared(), one_class, {}).count(b"<svg") == 2
