"""The dataset of an xgb: features, labels, failures and what is refused."""

import numpy as np
import pytest

from support.telemetry import DROP, sensors, spec, telemetry, with_events
from trainingjob_trainer.data.dataset import FailureDataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")


def test_an_xgb_gets_every_numeric_column_but_the_analogue_inputs() -> None:
    others = {
        "FlexAnalogue4_1": np.arange(300),
        "failure_label": np.arange(300),
        "hours": np.arange(300),
        "Auto": np.ones(300),
        "Oil_T": [NAN] * 300,
    }
    dataset = prepare_data(telemetry(with_events(300, (60, 200), **others)), spec("xgb", preFailureWindowMinutes=5))
    assert dataset.features == ("Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM", "Cool_T", "Bat_V", DROP, "hours")
    assert list(dataset.frame) == [*dataset.features, "failure_label"]
    assert set(dataset.summary.dropped_columns) == {"running", "Auto", "Oil_T"}
    assert isinstance(dataset, FailureDataset)


def test_missing_values_reach_an_xgb_as_missing() -> None:
    readings = with_events(300, (60, 200))
    readings[DROP][100] = np.inf
    readings["Oil_P"][100] = -1
    dataset = prepare_data(telemetry(readings), spec("xgb", preFailureWindowMinutes=5))
    assert np.isnan(dataset.frame[[DROP, "Oil_P"]].iloc[100]).all()


def test_rows_before_a_failure_are_labelled_and_leaking_rows_are_excluded() -> None:
    dataset = prepare_data(
        telemetry(with_events(300, (60, 270))), spec("xgb", preFailureWindowMinutes=2, rpmDropPercent=-70)
    )
    labels = np.flatnonzero(dataset.frame["failure_label"])
    assert labels.tolist() == [*range(48, 60), *range(258, 270)]
    assert np.flatnonzero(~dataset.usable).tolist() == list(range(228, 240))
    assert np.flatnonzero(dataset.events).tolist() == [60, 270]
    assert dataset.summary.counts["failure events in the training part"] == 1
    assert dataset.summary.counts["failure events in the test part"] == 1


def test_a_training_part_with_one_class_is_refused_with_the_speed_drops() -> None:
    readings = with_events(300, (100, 150, 280))
    readings["Eng_RPM"][149] = 65_535
    seconds = np.arange(300) * 10.0
    seconds[100:] += 500
    with pytest.raises(TrainingError) as refusal:
        prepare_data(telemetry(readings, seconds), spec("xgb", preFailureWindowMinutes=1))
    assert refusal.value.reason == "SingleClass"
    assert "0 of its 234 rows lie in the 1 minutes before a failure" in refusal.value.message
    assert "in 3 rows, 1 of them restarts after a gap and 1 next to a false reading" in refusal.value.message
    assert "of the remaining 1, 0 are in the training part (before 2025-01-01T00:48:20Z)" in refusal.value.message


def test_an_xgb_without_any_speed_is_refused_by_the_name_of_the_column() -> None:
    with pytest.raises(TrainingError, match=f"column {DROP} has no value") as refusal:
        prepare_data(telemetry(sensors(100)), spec("xgb"))
    assert refusal.value.reason == "InsufficientData"


def test_standardised_inputs_give_a_warning() -> None:
    events = tuple(range(50, 230, 30))
    wanted = spec("xgb", preFailureWindowMinutes=2)
    standardised = np.random.default_rng(0).normal(0, 1, 300)
    dataset = prepare_data(telemetry(with_events(300, events, Eng_RPM=standardised)), wanted)
    assert any("is probably standardised" in warning for warning in dataset.summary.warnings)
    plain = prepare_data(telemetry(with_events(300, events)), wanted)
    assert not any("is probably standardised" in warning for warning in plain.summary.warnings)


@pytest.mark.parametrize(
    ("events", "told"),
    [
        ((20, 60, 100, 140, 180, 245, 255, 265, 275, 285), None),
        ((20, 60, 100, 140, 245, 255, 265, 275, 285), "4 distinct failures in the training part and 5 in the test"),
        ((20, 60, 100, 140, 180, 245), "5 distinct failures in the training part and 1 in the test"),
        ((20, 60, 100, 140, 180), "0 in the test part, but at least 5 in each are needed. Without a failure in the"),
        ((20, 21, 22, 23, 24, 245, 255, 265, 275, 285), "1 distinct failures in the training part"),
    ],
)
def test_too_few_failures_to_judge_the_model_are_the_first_warning(events: tuple[int, ...], told: str | None) -> None:
    readings = with_events(300, events)
    readings["Oil_P"][25:50] = -1
    warnings = prepare_data(telemetry(readings), spec("xgb", preFailureWindowMinutes=1)).summary.warnings
    assert "Oil_P" in warnings[-1]
    assert len(warnings) == (2 if told else 1)
    assert told is None or told in warnings[0]
