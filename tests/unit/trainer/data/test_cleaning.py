"""Faults of real telemetry never affect fitted values."""

import numpy as np
import pytest

from support.telemetry import at, sensors, spec, telemetry
from trainingjob_api.values import Limits
from trainingjob_trainer.data.cleaning import clean
from trainingjob_trainer.data.false_readings import false_readings
from trainingjob_trainer.errors import TrainingError

DATA = spec().data
NAN = float("nan")


@pytest.mark.parametrize(
    ("sensor", "reading"),
    [
        *(("Recalque", float(code)) for code in range(2_147_483_643, 2_147_483_648)),
        *((name, -1.0) for name in ("Oil_P", "Oil_L", "Fuel_L", "Eng_RPM", "Bat_V", "Char_V")),
        ("Starts_N", 65_535.0),
        ("Cool_T", -273.2),
        ("Oil_T", -273.1),
        ("Succao", float("inf")),
        ("Oil_T_of_another_maker", 20_001.0),
    ],
)
def test_a_sentinel_counts_as_missing_in_a_raw_sensor(sensor: str, reading: float) -> None:
    values = np.array([reading, 5.0], np.float32)
    assert false_readings(sensor, values).tolist() == [True, False]


@pytest.mark.parametrize(
    ("sensor", "reading"),
    [
        ("Recalque", -1.0),
        ("Succao", -1.0),
        ("Cool_T", -1.0),
        ("Succao", -273.2),
        ("Oil_P", 20_000.0),
        ("Cool_T", -40.0),
    ],
)
def test_plausible_readings_are_kept(sensor: str, reading: float) -> None:
    assert not false_readings(sensor, np.array([reading], np.float32)).any()


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"min": 0.3, "max": 1500.0}, [True, False, False, True, True]),
        ({"max": 1500.0}, [False, False, False, True, True]),
        ({"min": 0.3}, [True, False, False, False, True]),
        ({"max": 30_000.0}, [False, False, False, False, False]),
    ],
)
def test_a_limit_replaces_only_the_default_of_its_side(limits: dict[str, float], expected: list[bool]) -> None:
    values = np.array([0.2, 0.3, 1500, 1501, 20_001], np.float32)
    assert false_readings("Recalque", values, Limits(**limits)).tolist() == expected


def test_every_derived_column_of_a_false_reading_and_of_the_next_row_is_missing() -> None:
    speed = np.full(20, 1600.0)
    speed[5] = 2_147_483_647
    percentage = np.zeros(20)
    percentage[5:7] = 134_217_627, -99.9999
    names = ("Eng_RPM_variation_percentage", "Oil_L_variation", "Head_per_RPM", "Fuel_rate", "minutes_running")
    derived = dict.fromkeys(names, percentage)
    cleaned = clean(telemetry({"Eng_RPM": speed, "Oil_P": np.arange(20)} | derived), DATA)
    for name in derived:
        assert np.flatnonzero(np.isnan(cleaned.values[name])[1:]).tolist() == [4, 5]
    assert np.flatnonzero(np.isnan(cleaned.values["Eng_RPM"])).tolist() == [5]
    assert not np.isnan(cleaned.values["Oil_P"]).any()
    assert cleaned.counts["false readings in Eng_RPM"] == 1


def test_a_difference_may_be_minus_one_and_a_percentage_large() -> None:
    readings = {"Oil_P_variation": np.full(20, -1.0), "Oil_P_variation_percentage": np.full(20, 30_000.0)}
    cleaned = clean(telemetry(readings), DATA)
    assert (cleaned.values.iloc[1:] == [-1, 30_000]).all(axis=None)


def test_infinite_percentages_are_missing_and_counted() -> None:
    percentage = np.zeros(20)
    percentage[[3, 4, 9]] = np.inf, NAN, -np.inf
    cleaned = clean(telemetry({"Eng_RPM_variation_percentage": percentage}), DATA)
    assert np.flatnonzero(np.isnan(cleaned.values.iloc[1:, 0])).tolist() == [2, 3, 8]
    assert cleaned.counts["infinite values in Eng_RPM_variation_percentage"] == 2


def test_the_last_row_of_each_instant_is_kept_and_the_others_are_counted() -> None:
    seconds = [0, 10, 10, 10, 20, 30, 30, 40, 50, 60, 70, 80, 90]
    cleaned = clean(telemetry({"Oil_P": np.arange(13)}, seconds), DATA)
    assert cleaned.timestamps.tolist() == at(np.arange(10) * 10).tolist()
    assert cleaned.values["Oil_P"].tolist() == [0, 3, 4, 6, 7, 8, 9, 10, 11, 12]
    assert cleaned.counts["duplicate timestamps"] == 3


def test_a_false_reading_in_a_duplicate_row_removes_the_next_difference() -> None:
    seconds = [0, 10, 10, *range(20, 110, 10)]
    speed = np.full(12, 1600.0)
    speed[1] = 65_535
    readings = {"Eng_RPM": speed, "Eng_RPM_variation_percentage": np.full(12, -97.0)}
    cleaned = clean(telemetry(readings, seconds), DATA)
    assert np.flatnonzero(np.isnan(cleaned.values["Eng_RPM_variation_percentage"])).tolist() == [0, 1, 2]


def test_a_gap_starts_a_segment_and_its_first_row_has_no_difference() -> None:
    seconds = np.arange(20) * 10.0
    seconds[8:] += 91
    seconds[15:] += 90
    readings = {"Eng_RPM_variation_percentage": np.full(20, -100.0), "Head_per_RPM": np.ones(20)}
    cleaned = clean(telemetry(readings, seconds), DATA)
    assert cleaned.segments.tolist() == [0] * 8 + [1] * 12
    assert np.flatnonzero(np.isnan(cleaned.values["Eng_RPM_variation_percentage"])).tolist() == [0, 8]
    assert not np.isnan(cleaned.values["Head_per_RPM"]).any()


def test_the_longest_gap_is_configurable() -> None:
    seconds = np.array([*range(10), *range(11, 21)])
    cleaned = clean(telemetry({"Oil_P": np.arange(20)}, seconds), spec(data={"maxGapSeconds": 2}).data)
    assert cleaned.segments.max() == 0
    cleaned = clean(telemetry({"Oil_P": np.arange(20)}, seconds), spec(data={"maxGapSeconds": 1}).data)
    assert cleaned.segments.tolist() == [0] * 10 + [1] * 10


def test_the_median_step_comes_from_the_training_part() -> None:
    # 41 of the 79 steps of the training part are 1 s long; most of all 99 steps are longer.
    steps = np.array([1.0] * 41 + [2] * 38 + [15] * 20)
    cleaned = clean(telemetry({"Oil_P": np.arange(100)}, np.r_[0, np.cumsum(steps)]), DATA)
    assert cleaned.step_seconds == 1
    assert cleaned.segments[79:].tolist() == list(range(21))


def test_too_few_rows_are_refused_with_the_number_found_and_needed() -> None:
    seconds = [*range(10), 9, 9]
    with pytest.raises(TrainingError, match=r"MOTOBOMBA-007: 10 rows were found \(12 read, 2 of them") as refusal:
        clean(telemetry(sensors(12), seconds), spec(data={"minRows": 11}).data)
    assert refusal.value.reason == "InsufficientData"
    assert "11 are needed" in refusal.value.message


def test_limits_of_a_derived_column_are_refused() -> None:
    with pytest.raises(TrainingError, match="Oil_P_variation is computed") as refusal:
        clean(telemetry(sensors(20)), spec(data={"limits": {"Oil_P_variation": {"max": 5.0}}}).data)
    assert refusal.value.reason == "InvalidConfiguration"
