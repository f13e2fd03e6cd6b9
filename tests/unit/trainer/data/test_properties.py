"""Any telemetry is prepared by the rules, or refused with a reason."""

from dataclasses import replace

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from support.telemetry import MACHINE, at, spec
from trainingjob_api.exit_codes import ExitCode
from trainingjob_trainer.data.dataset import Dataset, Telemetry
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

COLUMNS = ("Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM", "Cool_T", "Eng_RPM_variation_percentage", "Head_per_RPM")
FALSE = (-1.0, 65_535.0, 2_147_483_647.0, -273.2, float("nan"), float("inf"), -100.0)
LENGTH = 5


@st.composite
def telemetry(draw: st.DrawFn) -> Telemetry:
    """Some of the columns, with false readings, missing values, constant parts, repeated timestamps and gaps."""
    rows = draw(st.integers(3, 120))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    columns = draw(st.lists(st.sampled_from(COLUMNS), unique=True, min_size=1))
    values = {}
    for name in columns:
        column = random.normal(draw(st.sampled_from([0, 50, 1600])), draw(st.sampled_from([0, 1, 300])), rows)
        faults = random.random(rows) < draw(st.sampled_from([0, 0.05, 0.9]))
        column[faults] = random.choice(FALSE, np.count_nonzero(faults))
        values[name] = column.astype(np.float32)
    steps = random.choice(draw(st.sampled_from([[10.0], [0.0, 10.0], [9.0, 11.0], [10.0] * 20 + [5000.0]])), rows)
    return Telemetry(MACHINE, at(np.cumsum(steps)), pd.DataFrame(values), "0" * 64)


GRU = spec(missingIndicators="Neutral", data={"minRows": 3})
XGB = spec("xgb", preFailureWindowMinutes=1, data={"minRows": 3})


def prepared_or_refused(telemetry: Telemetry, model: str) -> Dataset | None:
    """The dataset; None if the telemetry was refused with a reason for data."""
    try:
        return prepare_data(telemetry, GRU if model == "gru" else XGB)
    except TrainingError as error:
        refusal = error
    assert refusal.exit_code is ExitCode.DATA
    assert MACHINE in refusal.message
    return None


@settings(max_examples=80, deadline=None)
@given(telemetry(), st.sampled_from(["gru", "xgb"]))
def test_prepared_data_are_ordered_finite_and_fitted_on_the_training_part(telemetry: Telemetry, model: str) -> None:
    dataset = prepared_or_refused(telemetry, model)
    if dataset is None:
        return
    rows = len(dataset.frame)
    assert rows == dataset.summary.rows_used == len(np.unique(telemetry.timestamps))
    assert (np.diff(dataset.timestamps) > np.timedelta64(0)).all()
    assert (np.diff(dataset.segments) >= 0).all()
    assert 0 < dataset.test_start < rows
    assert set(dataset.frame.dtypes) == {np.dtype(np.float32)}
    training = dataset.frame.iloc[: dataset.test_start]
    assert (training[list(dataset.features)].max() > training[list(dataset.features)].min()).all()
    if model == "xgb":
        assert not np.isinf(dataset.frame).any(axis=None)
        return
    assert np.isfinite(dataset.frame[list(dataset.features)]).all(axis=None)
    assert np.isfinite(dataset.persistence_forecast).all()
    scaled = dataset.scaler.transform(training[list(dataset.features)].astype(np.float64))
    assert scaled.min() >= -1e-9
    assert scaled.max() <= 1 + 1e-9
    scores = training["health_score"].dropna()
    assert scores.between(-1e-5, 1 + 1e-5).all()
    known = dataset.frame["health_score"].notna().to_numpy()
    np.testing.assert_array_equal(dataset.persistence_forecast[known], dataset.frame["health_score"][known])


@settings(max_examples=60, deadline=None)
@given(telemetry())
def test_no_window_crosses_a_border_or_a_gap_and_every_target_is_known(telemetry: Telemetry) -> None:
    dataset = prepared_or_refused(telemetry, "gru")
    if dataset is None:
        return
    try:
        sequences = create_sequences(dataset, LENGTH, 0.25)
    except TrainingError:
        return
    validation = int(dataset.test_start * 0.75 + 1e-9)
    parts = (
        (sequences.training, 0, validation),
        (sequences.validation, validation, dataset.test_start),
        (sequences.test, dataset.test_start, len(dataset.frame)),
    )
    total = sequences.dropped
    for windows, first, stop in parts:
        assert windows.starts.min() >= first
        assert windows.target_rows.max() < stop
        assert (dataset.segments[windows.starts] == dataset.segments[windows.target_rows]).all()
        inputs, targets = windows.gather(slice(None))
        assert np.isfinite(inputs).all()
        assert np.isfinite(targets).all()
        total += len(windows)
    # No window is missing: a run of n rows gives n minus the length of a window.
    assert total == sum(max(int(stop - start) - LENGTH, 0) for windows, _, _ in parts for start, stop in windows.runs)


@settings(max_examples=60, deadline=None)
@given(telemetry(), st.sampled_from(["gru", "xgb"]), st.integers(0, 2**32 - 1))
def test_the_values_of_the_test_part_change_no_decision(telemetry: Telemetry, model: str, seed: int) -> None:
    before = prepared_or_refused(telemetry, model)
    if before is None:
        return
    values = telemetry.values.copy()
    test_start = int(np.searchsorted(telemetry.timestamps, before.timestamps[before.test_start]))
    shape = (len(values) - test_start, values.shape[1])
    values.iloc[test_start:] = np.random.default_rng(seed).choice([*FALSE, 3.0, 900.0], shape).astype(np.float32)
    after = prepared_or_refused(replace(telemetry, values=values), model)
    assert after is not None
    assert after.features == before.features
    assert after.summary.step_seconds == before.summary.step_seconds
    used = before.usable[: before.test_start] if model == "xgb" else np.ones(before.test_start, np.bool_)
    pd.testing.assert_frame_equal(
        after.frame.iloc[: after.test_start][used], before.frame.iloc[: before.test_start][used], check_exact=True
    )
    if model == "gru":
        assert after.health == before.health
        np.testing.assert_array_equal(after.scaler.scale_, before.scaler.scale_)
