"""The comparison with the registered model in metrics, warnings and report."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from support.failure_rows import SPEC, prepared_rows
from trainingjob_trainer.data.dataset import TrainedModel
from trainingjob_trainer.models.comparison import Comparison, IncomparableError, RegisteredModel
from trainingjob_trainer.models.xgb.model import XgbModel
from trainingjob_trainer.run.improvement import with_improvement

TRAINED = TrainedModel((), {"rmse": 0.1, "notes": ["First."]}, "", {"label": ()})


class Compared(XgbModel):
    """A type whose comparison gives what it is told."""

    def __init__(self, improvement: float | None) -> None:
        self.improvement = improvement

    def compare(self, *_: Any) -> Comparison:
        if self.improvement is None:
            raise IncomparableError("the pump is new")
        return Comparison(self.improvement, "rmse", 0.0123456, 0.02, 1234, "test windows")


def registered(age: timedelta) -> RegisteredModel:
    return RegisteredModel("model_a.h5", datetime.now(UTC) - age, np.datetime64("2025-01-01", "us"), {})


def result(found: RegisteredModel | str | None, improvement: float | None = 0.25) -> TrainedModel:
    return with_improvement(TRAINED, found, Compared(improvement), prepared_rows(), SPEC)


def test_without_a_gate_nothing_is_compared() -> None:
    assert result(None) is TRAINED


@pytest.mark.parametrize(
    ("age", "ago"),
    [(timedelta(hours=23), "today"), (timedelta(days=1), "1 day ago"), (timedelta(days=8), "8 days ago")],
)
def test_the_report_says_with_what_the_model_was_compared(age: timedelta, ago: str) -> None:
    compared = result(registered(age))
    assert compared.report["comparison"] == (
        f"Compared with model_a.h5, registered {ago}, on 1,234 test windows after the data that it was trained on: "
        "rmse 0.01235 against 0.02."
    )
    assert compared.metrics["improvement"] == 0.25
    assert compared.metrics["compared_with"]["bucket_address"] == "model_a.h5"
    assert compared.metrics["compared_with"]["age_days"] == age.days
    assert compared.metrics["notes"] == ["First."]


@pytest.mark.parametrize("improvement", [-4e-7, 4e-7, 0.0])
def test_a_difference_in_the_last_bits_is_none(improvement: float) -> None:
    assert str(result(registered(timedelta(days=1)), improvement).metrics["improvement"]) == "0.0"


@pytest.mark.parametrize(("found", "reason"), [("nothing there", "nothing there"), (None, "the pump is new")])
def test_a_reason_against_a_comparison_becomes_a_warning(found: str | None, reason: str) -> None:
    compared = result(found or registered(timedelta(days=1)), None)
    assert compared.metrics["improvement"] is None
    assert "compared_with" not in compared.metrics
    assert compared.metrics["notes"] == [
        "First.",
        f"The gate on improvement passes without a comparison: {reason}.",
    ]
