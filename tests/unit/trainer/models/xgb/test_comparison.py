"""A registered failure model is read from its UBJSON and judged on the test rows that it was not trained on."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

import numpy as np
import pytest

from support.failure_rows import SPEC, prepared_rows
from trainingjob_trainer.data.dataset import FailureDataset, TrainedModel
from trainingjob_trainer.models.comparison import Comparison, IncomparableError, RegisteredModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import SilentReporter
from trainingjob_trainer.models.xgb.comparison import compare_xgb
from trainingjob_trainer.models.xgb.model import train_xgboost

ADDRESS = "xgb_model_PUMP-1_2025_01_01_12_00_00.pkl"
XGB = SPEC.model.xgb


@cache
def data() -> FailureDataset:
    """4000 rows, 2000 of them to test on, with a failure every 200 rows."""
    return prepared_rows(4000, test_start=2000)


@cache
def trained(features: tuple[str, ...] = ("Cool_T", "Bat_V")) -> TrainedModel:
    return train_xgboost(replace(data(), features=features), SPEC, SilentReporter(), Device("CPU", threads=2))


def registered(model: TrainedModel, train_end: int = 1999, **files: bytes) -> RegisteredModel:
    saved = {file.role: file.content for file in model.files} | files
    return RegisteredModel(ADDRESS, datetime(2025, 1, 1, 12, tzinfo=UTC), data().timestamps[train_end], saved)


def compare(new: TrainedModel, other: RegisteredModel) -> Comparison:
    return compare_xgb(data(), XGB, new, other)


@pytest.mark.parametrize(("train_end", "count"), [(0, 2000), (1999, 2000), (2999, 1000)])
def test_an_equal_model_is_no_improvement_on_the_rows_after_its_training_part(train_end: int, count: int) -> None:
    found = compare(trained(), registered(trained(), train_end))
    assert (found.improvement, found.metric, found.count, found.unit) == (0, "average_precision", count, "test rows")


def test_the_improvement_is_the_difference_of_the_average_precisions() -> None:
    of_noise = trained(("Bat_V",))
    better = compare(trained(), registered(of_noise))
    assert better.improvement == better.new - better.registered > 0.3
    assert better.new == pytest.approx(trained().metrics["average_precision"])
    assert better.registered == pytest.approx(of_noise.metrics["average_precision"])
    assert compare(of_noise, registered(trained())).improvement == pytest.approx(-better.improvement)


def test_few_failures_after_the_training_part_are_not_compared() -> None:
    with pytest.raises(IncomparableError, match="4 distinct failures can be compared, and at least 5 are needed"):
        compare(trained(), registered(trained(), train_end=3199))


def test_a_column_that_the_new_model_does_not_use_is_named() -> None:
    without = replace(data(), features=("Bat_V",))
    with pytest.raises(IncomparableError, match=rf"{ADDRESS} needs .* Cool_T \(not among the features\)"):
        compare_xgb(without, XGB, trained(("Bat_V",)), registered(trained()))


@pytest.mark.parametrize("content", [b"", b"{", b"\x80\x04 a pickle"])
def test_a_damaged_file_is_refused(content: bytes) -> None:
    files: Mapping[str, bytes] = {"model-ubj": content}
    with pytest.raises(IncomparableError, match=f"{ADDRESS} cannot be read: "):
        compare(trained(), registered(trained(), **files))


def test_a_pickle_is_not_read() -> None:
    other = registered(trained())
    without = replace(other, files={"model-ubj": other.files["model-ubj"], "model": b"no pickle"})
    assert compare(trained(), without).improvement == 0
    assert np.isfinite(trained().metrics["average_precision"])
