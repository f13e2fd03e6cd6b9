"""Preparation steps of all model types: renamed columns, dropped columns, warnings and the state of the engine."""

from dataclasses import replace

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")


def test_columns_are_renamed_also_if_two_are_swapped() -> None:
    readings = sensors(100)
    renames = {"Recalque": "Succao", "Succao": "Recalque", "Oil_T": "Bateria 2"}
    dataset = prepare_data(telemetry(readings | {"Bateria 2": np.arange(100)}), spec(data={"columns": renames}))
    np.testing.assert_array_equal(dataset.frame["Succao"], np.float32(readings["Recalque"]))
    np.testing.assert_array_equal(dataset.frame["Recalque"], np.float32(readings["Succao"]))
    np.testing.assert_array_equal(dataset.frame["Oil_T"], np.arange(100))


def test_a_missing_column_to_rename_is_refused_by_name() -> None:
    with pytest.raises(TrainingError, match="no numeric column Pressao") as refusal:
        prepare_data(telemetry(sensors(100)), spec(data={"columns": {"Recalque": "Pressao"}}))
    assert refusal.value.reason == "InvalidConfiguration"


def test_a_renamed_sensor_is_cleaned_by_the_rules_of_its_new_name() -> None:
    readings = sensors(100)
    readings["Pressao"] = readings.pop("Oil_P")
    readings["Pressao"][7] = -1
    dataset = prepare_data(telemetry(readings), spec(data={"columns": {"Oil_P": "Pressao"}}))
    assert dataset.summary.counts["false readings in Oil_P"] == 1


def test_a_column_without_values_is_dropped_with_a_note() -> None:
    late = np.full(100, NAN)
    late[80:] = np.arange(20)
    dataset = prepare_data(telemetry(sensors(100) | {"Oil_T": late}), spec())
    assert "Oil_T" not in dataset.features
    assert dataset.summary.dropped_columns == {"Oil_T": "no value in any of the 80 rows of the training part"}


def test_warnings_of_the_data_come_before_warnings_of_the_loading() -> None:
    whole = replace(
        telemetry(sensors(100) | {"Oil_L": np.ones(100)}), counts={"rows ignored": 3}, warnings=("No zone.",)
    )
    summary = prepare_data(whole, spec()).summary
    assert summary.counts["rows ignored"] == 3
    assert summary.warnings[-1] == "No zone."
    assert len(summary.warnings) == 2


@pytest.mark.parametrize(
    ("readings", "running"),
    [
        ({"running": [1, 0, 1, NAN] * 5, "Eng_RPM": [0, 1600, 900, 900] * 5}, [True, False, True, True] * 5),
        ({"running": [NAN] * 20, "Eng_RPM": [0, 1600, NAN, 900] * 5}, [False, True, False, True] * 5),
        ({"Eng_RPM": [NAN] * 20}, [True] * 20),
    ],
)
def test_the_engine_state_comes_from_running_or_else_from_the_speed(
    readings: dict[str, list[float]], running: list[bool]
) -> None:
    dataset = prepare_data(telemetry(sensors(20) | readings), spec())
    assert dataset.running.tolist() == running
