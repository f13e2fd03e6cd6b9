"""Windows compared with the definition: X[i] is rows i .. i+length-1, y[i] the score of row i+length."""

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.data.windows import Windows, consecutive_runs, create_sequences
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

LENGTH = 7


def prepared_with_gaps() -> Dataset:
    """500 rows in five segments, 400 of them in the training part; some indicators are missing."""
    readings = sensors(500)
    for row in (60, 61, 330, 365, 380, 470):
        readings["Oil_L"][row] = -1
    seconds = np.arange(500) * 10.0
    for gap in (40, 45, 355, 420):
        seconds[gap:] += 3600
    return prepare_data(telemetry(readings, seconds), spec())


def windows_by_definition(dataset: Dataset, first: int, stop: int) -> list[tuple[np.ndarray, float]]:
    """Every window of a part, built row by row according to the definition."""
    scaled = dataset.scaler.transform(dataset.frame[list(dataset.features)].astype(np.float64))
    scores = dataset.frame["health_score"].to_numpy()
    windows = []
    for start in range(first, stop - LENGTH):
        rows = range(start, start + LENGTH + 1)
        if len({dataset.segments[row] for row in rows}) == 1 and not np.isnan(scores[rows[-1]]):
            windows.append((scaled[start : start + LENGTH], scores[start + LENGTH]))
    return windows


def test_windows_are_those_of_the_definition_element_by_element() -> None:
    dataset = prepared_with_gaps()
    sequences = create_sequences(dataset, LENGTH, 0.1)
    for windows, (first, stop) in (
        (sequences.training, (0, 360)),
        (sequences.validation, (360, 400)),
        (sequences.test, (400, 500)),
    ):
        expected = windows_by_definition(dataset, first, stop)
        inputs, targets = windows.gather(slice(None))
        assert inputs.shape == (len(expected), LENGTH, 7)
        assert inputs.dtype == targets.dtype == np.float32
        np.testing.assert_allclose(inputs, np.array([rows for rows, _ in expected]), atol=1e-6)
        np.testing.assert_array_equal(targets, np.array([target for _, target in expected], np.float32))
        np.testing.assert_array_equal(windows.target, targets)
    assert sequences.dropped == 5


def test_a_segment_of_n_rows_gives_n_minus_length_windows() -> None:
    sequences = create_sequences(prepare_data(telemetry(sensors(1000)), spec()), 60, 0.1)
    assert (len(sequences.training), len(sequences.validation), len(sequences.test)) == (720 - 60, 80 - 60, 200 - 60)


def test_selected_windows_are_returned_in_the_given_order() -> None:
    windows = create_sequences(prepared_with_gaps(), LENGTH, 0.1).training
    inputs, targets = windows.gather(slice(None))
    some, some_targets = windows.gather(np.array([200, 3, 3]))
    np.testing.assert_array_equal(some, inputs[[200, 3, 3]])
    np.testing.assert_array_equal(some_targets, targets[[200, 3, 3]])


def test_windows_of_all_parts_share_one_array() -> None:
    sequences = create_sequences(prepared_with_gaps(), LENGTH, 0.1)
    assert sequences.training.inputs is sequences.validation.inputs is sequences.test.inputs


def test_the_last_score_is_that_of_the_last_row_of_the_window() -> None:
    dataset = prepared_with_gaps()
    windows = create_sequences(dataset, LENGTH, 0.1).training
    inputs, _ = windows.gather(slice(None))
    # The scaler has the same range of all four indicators as the health score.
    np.testing.assert_allclose(windows.last_score, inputs[:, -1, :4].mean(axis=1), atol=1e-6)
    assert np.isfinite(windows.last_score).all()


def test_runs_are_the_rows_without_a_gap_within_a_part() -> None:
    sequences = create_sequences(prepared_with_gaps(), LENGTH, 0.1)
    assert sequences.training.runs.tolist() == [[0, 40], [40, 45], [45, 355], [355, 360]]
    assert sequences.validation.runs.tolist() == [[360, 400]]
    assert sequences.test.runs.tolist() == [[400, 420], [420, 500]]
    assert consecutive_runs(np.zeros(3, np.int32), 3, 3).tolist() == []


@pytest.mark.parametrize(("rows", "part"), [(60, "training"), (75, "validation"), (90, "test")])
def test_a_part_without_a_window_is_refused_with_rows_found_and_needed(rows: int, part: str) -> None:
    fraction = {"training": 0.5, "validation": 0.1, "test": 0.5}[part]
    length = {"training": 24, "validation": 6, "test": 18}[part]
    dataset = prepare_data(telemetry(sensors(rows)), spec())
    with pytest.raises(TrainingError, match=f"MOTOBOMBA-007: the {part} part has no window") as refusal:
        create_sequences(dataset, length, fraction)
    assert refusal.value.reason == "InsufficientData"
    assert f"{length + 1} consecutive rows are needed" in refusal.value.message


def test_a_part_whose_targets_all_lack_an_indicator_is_refused() -> None:
    readings = sensors(100)
    readings["Oil_P"][80:] = -1
    with pytest.raises(TrainingError, match="every target row in it lacks a health indicator"):
        create_sequences(prepare_data(telemetry(readings), spec()), LENGTH, 0.2)


def test_gathering_copies_only_the_selected_windows() -> None:
    rows = 200_000
    inputs = np.zeros((rows, 8), np.float32)
    starts = np.arange(rows - 60, dtype=np.int64)
    windows = Windows(inputs, inputs[:, 0], inputs[:, 0], 60, starts, np.array([[0, rows]]))
    gathered, _ = windows.gather(np.array([rows - 61, 0]))
    assert gathered.base is None or gathered.base.nbytes == gathered.nbytes
    assert gathered.shape == (2, 60, 8)
