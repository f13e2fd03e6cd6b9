"""Simulated telemetry has the dynamics, the faults and the failures of real telemetry."""

import io
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from support.telemetry import MACHINE, spec
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.data.dataset import Telemetry
from trainingjob_trainer.data.windows import Windows, create_sequences
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.tools.simulate import simulate, write_csv

START = datetime(2025, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return pd.concat(simulate(MACHINE, start=START, rows=12_000), ignore_index=True)


def as_loaded(table: pd.DataFrame) -> Telemetry:
    """The rows in the order in which the database returns them."""
    ordered = table.assign(present=table.notna().sum(axis=1)).sort_values(["timestamp", "present"], kind="stable")
    values = ordered[list(TELEMETRY_COLUMNS)].astype(np.float32).reset_index(drop=True)
    return Telemetry(MACHINE, ordered["timestamp"].to_numpy().astype("datetime64[us]"), values, "0" * 64)


def test_telemetry_depends_only_on_the_arguments_and_the_machine(table: pd.DataFrame) -> None:
    again = pd.concat(simulate(MACHINE, start=START, rows=12_000), ignore_index=True)
    pd.testing.assert_frame_equal(again, table)
    other = pd.concat(simulate("ITU-415", start=START, rows=100))
    assert not np.array_equal(other["Oil_P"], table["Oil_P"][:100])


def test_the_table_has_every_column_and_the_requested_rows(table: pd.DataFrame) -> None:
    assert list(table) == ["timestamp", "motor_pump", *TELEMETRY_COLUMNS]
    assert len(table) == 12_000
    assert (table["motor_pump"] == MACHINE).all()


def test_the_simulation_has_every_fault_of_real_telemetry(table: pd.DataFrame) -> None:
    dataset = prepare_data(as_loaded(table), spec("xgb"))
    counts = dataset.summary.counts
    assert counts["duplicate timestamps"] > 0
    assert counts["rows with a false reading"] > 0
    assert counts["infinite values in Eng_RPM_variation_percentage"] > 0
    assert dataset.summary.segments > 10
    instants = table["timestamp"].to_numpy()
    assert (np.diff(instants) < np.timedelta64(0)).any()


def test_derived_columns_are_computed_from_the_stored_sensors(table: pd.DataFrame) -> None:
    rows = table[:500]
    np.testing.assert_allclose(rows["Hydraulic_Head"], rows["Recalque"] - rows["Succao"])
    np.testing.assert_allclose(rows["Oil_P_variation"][1:], np.diff(rows["Oil_P"]))
    with np.errstate(divide="ignore", invalid="ignore"):
        percentage = 100 * np.diff(rows["Eng_RPM"]) / rows["Eng_RPM"].to_numpy()[:-1]
    np.testing.assert_allclose(rows["Eng_RPM_variation_percentage"][1:], percentage, atol=1e-9)


def test_failures_are_in_both_parts_and_sensors_indicate_them_before(table: pd.DataFrame) -> None:
    dataset = prepare_data(as_loaded(table), spec("xgb"))
    assert dataset.events[: dataset.test_start].sum() >= 3
    assert dataset.events[dataset.test_start :].sum() >= 1
    running = dataset.frame[dataset.running]
    before, else_ = (running[running["failure_label"] == label] for label in (1, 0))
    assert before["Oil_P"].mean() < else_["Oil_P"].mean() - 10
    assert before["Succao"].mean() < else_["Succao"].mean()


def rmse(errors: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(errors, dtype=np.float64))))


def test_the_next_score_can_be_predicted_better_than_by_persistence(table: pd.DataFrame) -> None:
    sequences = create_sequences(prepare_data(as_loaded(table), spec()), 20, 0.1)

    def design(windows: Windows) -> tuple[np.ndarray, np.ndarray]:
        inputs, targets = windows.gather(slice(None))
        return np.c_[inputs.reshape(len(inputs), -1), np.ones(len(inputs))], targets

    inputs, targets = design(sequences.training)
    weights, *_ = np.linalg.lstsq(inputs, targets, rcond=None)
    inputs, targets = design(sequences.test)
    assert rmse(inputs @ weights - targets) < 0.9 * rmse(sequences.test.last_score - targets)


def test_the_csv_has_a_header_time_zones_and_empty_fields_for_missing() -> None:
    stream = io.StringIO()
    assert write_csv(simulate(MACHINE, start=START, rows=3000), stream) == 3000
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3001
    assert lines[0] == ",".join(["timestamp", "motor_pump", *TELEMETRY_COLUMNS])
    assert lines[1].startswith("2025-01-01 00:00:0")
    assert "+00:00,MOTOBOMBA-007,1.0," in lines[1]
    assert not any("nan" in line.lower() for line in lines)
