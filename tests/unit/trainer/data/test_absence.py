"""Messages about a sensor that has no value or lost many: the cause, the numbers and what to do."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.data.dataset import UnreadableColumn
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")
TEXT = {"Oil_P": UnreadableColumn("text", 93)}
PASCALS = np.linspace(101_325, 350_000, 100)


def refusal(readings: Mapping[str, Any], unreadable: Mapping[str, UnreadableColumn] | None = None) -> str:
    with pytest.raises(TrainingError) as refusal:
        prepare_data(replace(telemetry(readings), unreadable=unreadable or {}), spec())
    assert refusal.value.reason == "InsufficientData"
    return refusal.value.message


def without(name: str) -> dict[str, Any]:
    return {other: values for other, values in sensors(100).items() if other != name}


def test_an_indicator_of_type_text_is_reported_without_advice_to_omit_it() -> None:
    message = refusal(without("Oil_P"), TEXT)
    assert (
        "Oil_P: the column is of type text, so that its 93 values are not read. Change its type to double precision"
        in message
    )
    assert "Neutral" not in message


def test_an_indicator_outside_its_limits_is_reported_without_advice_to_omit() -> None:
    message = refusal(sensors(100) | {"Recalque": PASCALS})
    assert (
        "Recalque: all 80 readings of the training part are false: 80 are outside the limits -20000 to 20000 (they are "
        "101325 to 299763)" in message
    )
    assert "set data.limits of Recalque" in message
    assert "Neutral" not in message


def test_an_indicator_that_is_not_in_the_table_is_reported_with_a_solution() -> None:
    message = refusal(without("Oil_L"))
    assert "Oil_L: table processed_data has no such column" in message
    assert "missingIndicators to Neutral" in message


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([NAN] * 100, "Oil_L: no value in any of the 80 rows of the training part"),
        ([-1] * 99 + [40], "Oil_L: all 80 readings of the training part are false: 80 are a sentinel for a missing"),
    ],
)
def test_the_message_advises_to_omit_an_indicator_without_readings(values: list[float], told: str) -> None:
    message = refusal(sensors(100) | {"Oil_L": values})
    assert told in message
    assert "missingIndicators to Neutral" in message


def test_every_absent_indicator_has_its_own_sentence() -> None:
    readings = {name: values for name, values in sensors(100).items() if name not in ("Oil_P", "Oil_L")}
    message = refusal(readings | {"Recalque": PASCALS, "Succao": [NAN] * 100}, TEXT)
    for name in ("Oil_P: the column is", "Oil_L: table", "Recalque: all 80", "Succao: no value"):
        assert name in message


def test_a_feature_that_cannot_be_read_is_dropped_with_a_warning() -> None:
    whole = replace(
        telemetry(without("Cool_T") | {"Bat_V": PASCALS}), unreadable={"Cool_T": UnreadableColumn("text", 9)}
    )
    summary = prepare_data(whole, spec()).summary
    assert set(summary.dropped_columns) == {"Cool_T", "Bat_V"}
    assert [warning.split(": ")[1] for warning in summary.warnings] == ["Cool_T", "Bat_V"]
    assert "of type text" in summary.warnings[0]
    assert "outside the limits" in summary.warnings[1]


def test_an_empty_column_gives_no_warning() -> None:
    summary = prepare_data(telemetry(sensors(100) | {"Oil_T": [NAN] * 100}), spec()).summary
    assert set(summary.dropped_columns) == {"Oil_T"}
    assert not summary.warnings


def test_a_column_to_rename_that_is_text_is_refused_with_its_type() -> None:
    whole = replace(telemetry(without("Oil_P")), unreadable={"Pressao": UnreadableColumn("text", 100)})
    with pytest.raises(TrainingError, match=r"no numeric column Pressao \(it is of type text\)"):
        prepare_data(whole, spec(data={"columns": {"Oil_P": "Pressao"}}))


def test_a_chosen_feature_that_is_text_is_refused_with_its_type() -> None:
    whole = replace(telemetry(without("Cool_T")), unreadable={"Cool_T": UnreadableColumn("text", 100)})
    chosen = ["Oil_P", "Oil_L", "Recalque", "Succao", "Cool_T"]
    with pytest.raises(TrainingError, match=r"features has Cool_T \(it is of type text\)") as refusal:
        prepare_data(whole, spec(features=chosen))
    assert refusal.value.reason == "InvalidConfiguration"


def test_an_xgb_whose_speed_column_is_text_is_refused() -> None:
    name = "Eng_RPM_variation_percentage"
    whole = replace(telemetry(sensors(100)), unreadable={name: UnreadableColumn("text", 100)})
    with pytest.raises(TrainingError, match=f"{name}: the column is of type text"):
        prepare_data(whole, spec("xgb"))


@pytest.mark.parametrize(("lost", "warned"), [(5, False), (6, True)])
def test_more_than_5_percent_of_a_sensor_outside_its_limits_is_a_warning(lost: int, warned: bool) -> None:
    readings = sensors(100)
    readings["Oil_P"][:lost] = 30_000
    warnings = prepare_data(telemetry(readings), spec()).summary.warnings
    expected = (
        f"Oil_P: {lost} of 100 readings ({lost}.0%) count as missing: {lost} are outside the limits -20000 to 20000 "
        "(they are 30000 to 30000). If these readings are correct, for example in another unit, set "
        "data.limits of Oil_P."
    )
    assert list(warnings) == ([expected] if warned else [])


def test_more_than_5_percent_of_rows_with_a_false_reading_is_a_warning() -> None:
    readings = sensors(100)
    readings["Oil_P"][:4] = readings["Oil_L"][10:14] = -1
    (warning,) = prepare_data(telemetry(readings), spec()).summary.warnings
    assert warning == "8 of 100 rows (8.0%) have a false reading: Oil_P (4), Oil_L (4)."


def test_losses_of_an_analogue_input_used_as_pressure_are_a_warning() -> None:
    readings = without("Succao") | {"FlexAnalogue4_2": np.r_[np.full(10, 65_535), np.arange(90)]}
    warnings = prepare_data(telemetry(readings), spec()).summary.warnings
    assert [warning.split()[0] for warning in warnings] == ["FlexAnalogue4_2", "FlexAnalogue4_2:"]
    assert "10 are a sentinel for a missing value" in warnings[1]
