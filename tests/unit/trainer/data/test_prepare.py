"""Preparation: what is fitted sees the training part alone, what is missing is said, what cannot train is refused."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.data.dataset import FailureDataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")
DROP = "Eng_RPM_variation_percentage"


def with_events(rows: int, events: tuple[int, ...], **others: np.ndarray) -> dict[str, np.ndarray]:
    """Healthy sensors and a fall of the speed in some rows."""
    drops = np.random.default_rng(1).normal(0, 1, rows)
    drops[list(events)] = -100
    return sensors(rows) | {DROP: drops} | others


def test_a_gru_gets_the_default_features_in_order_and_the_score_as_target() -> None:
    readings = dict(reversed(sensors(100).items())) | {"Fuel_L": np.arange(100), "Intake": np.arange(100)}
    dataset = prepare_data(telemetry(readings), spec())
    assert dataset.features == ("Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM", "Cool_T", "Bat_V", "Intake")
    assert list(dataset.frame) == [*dataset.features, "health_score"]
    assert set(dataset.frame.dtypes) == {np.dtype(np.float32)}
    assert dataset.test_start == 80
    assert dataset.summary.rows_used == 100


def test_the_score_of_a_row_uses_the_sensors_of_this_row() -> None:
    readings = sensors(100)
    dataset = prepare_data(telemetry(readings), spec())
    parts = []
    for name in ("Oil_P", "Oil_L", "Recalque", "Succao"):
        values = np.float32(readings[name])
        low, high = values[:80].min(), values[:80].max()
        parts.append((values - low) / (high - low))
    expected = 0.5 * (0.5 * (parts[0] + parts[1])) + 0.5 * (0.5 * (parts[2] + parts[3]))
    np.testing.assert_allclose(dataset.frame["health_score"], expected, atol=1e-5)
    np.testing.assert_allclose(dataset.persistence_forecast, expected, atol=1e-5)


def test_features_may_be_chosen_and_keep_that_order() -> None:
    chosen = ["Bat_V", "Succao", "Recalque", "Oil_L", "Oil_P"]
    assert prepare_data(telemetry(sensors(100)), spec(features=chosen)).features == tuple(chosen)


def test_a_feature_that_is_not_in_the_table_is_refused_by_name() -> None:
    chosen = ["Oil_P", "Oil_L", "Recalque", "Succao", "Oil_X"]
    with pytest.raises(TrainingError, match="Oil_X") as refusal:
        prepare_data(telemetry(sensors(100)), spec(features=chosen))
    assert refusal.value.reason == "InvalidConfiguration"


def test_output_residual_needs_the_varying_indicators_and_direct_does_not() -> None:
    block = {"features": ["Cool_T"], "missingIndicators": "Neutral"}
    with pytest.raises(TrainingError, match="Oil_P, Oil_L, Recalque, Succao") as refusal:
        prepare_data(telemetry(sensors(100)), spec(**block))
    assert refusal.value.reason == "InvalidConfiguration"
    direct = prepare_data(telemetry(sensors(100)), spec(**block, output="Direct"))
    whole = prepare_data(telemetry(sensors(100)), spec())
    np.testing.assert_array_equal(direct.persistence_forecast, whole.persistence_forecast)


def test_analogue_inputs_replace_pressures_without_training_values() -> None:
    readings = sensors(100)
    late = np.full(100, NAN)
    late[85:] = 5
    analogue = {"FlexAnalogue4_1": readings["Recalque"], "FlexAnalogue4_2": readings.pop("Succao")}
    dataset = prepare_data(telemetry(readings | {"Recalque": late} | analogue), spec())
    np.testing.assert_array_equal(dataset.frame["Recalque"], np.float32(analogue["FlexAnalogue4_1"]))
    np.testing.assert_array_equal(dataset.frame["Succao"], np.float32(analogue["FlexAnalogue4_2"]))
    assert [warning.split()[0] for warning in dataset.summary.warnings] == ["FlexAnalogue4_1", "FlexAnalogue4_2"]


def test_a_pressure_with_a_value_is_never_replaced() -> None:
    readings = sensors(100)
    dataset = prepare_data(telemetry(readings | {"FlexAnalogue4_1": np.arange(100)}), spec())
    np.testing.assert_array_equal(dataset.frame["Recalque"], np.float32(readings["Recalque"]))


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


def test_a_constant_sensor_scores_half_and_is_dropped_with_a_note() -> None:
    readings = sensors(100) | {"Oil_P": np.r_[np.full(90, 480), np.full(10, 240)]}
    dataset = prepare_data(telemetry(readings), spec())
    assert "Oil_P" not in dataset.features
    assert dataset.summary.dropped_columns == {"Oil_P": "constant in the training part (480)"}
    assert any("Oil_P" in warning for warning in dataset.summary.warnings)
    assert dataset.health.constant == 0.125
    assert dataset.frame["health_score"].notna().all()
    assert dataset.frame["health_score"].iloc[90:].abs().max() < 2


def test_a_column_without_values_is_dropped_with_a_note() -> None:
    late = np.full(100, NAN)
    late[80:] = np.arange(20)
    dataset = prepare_data(telemetry(sensors(100) | {"Oil_T": late}), spec())
    assert "Oil_T" not in dataset.features
    assert dataset.summary.dropped_columns == {"Oil_T": "no value in any of the 80 rows of the training part"}


def test_an_indicator_without_values_is_refused_by_name() -> None:
    readings = sensors(100) | {"Oil_L": np.full(100, -1)}
    with pytest.raises(TrainingError, match="MOTOBOMBA-007: the health indicators Oil_L have no value") as refusal:
        prepare_data(telemetry(readings), spec())
    assert refusal.value.reason == "InsufficientData"
    dataset = prepare_data(telemetry(readings), spec(missingIndicators="Neutral"))
    assert dataset.health.neutral == ("Oil_L",)


def test_warnings_of_the_data_come_before_warnings_of_the_loading() -> None:
    whole = replace(
        telemetry(sensors(100) | {"Oil_L": np.ones(100)}), counts={"rows ignored": 3}, warnings=("No zone.",)
    )
    summary = prepare_data(whole, spec()).summary
    assert summary.counts["rows ignored"] == 3
    assert summary.warnings[-1] == "No zone."
    assert len(summary.warnings) == 2


def test_inputs_are_filled_forward_five_rows_then_with_the_training_median() -> None:
    readings = sensors(100)
    temperature = readings["Cool_T"] = np.arange(100, dtype=np.float64)
    temperature[10:18] = NAN
    temperature[50:52] = NAN
    seconds = np.arange(100) * 10.0
    seconds[50:] += 1000
    dataset = prepare_data(telemetry(readings, seconds), spec())
    median = np.nanmedian(temperature[:80])
    filled = dataset.frame["Cool_T"].to_numpy()
    assert filled[10:18].tolist() == [9] * 5 + [median] * 3
    assert filled[50:52].tolist() == [median] * 2
    assert dataset.summary.counts["Cool_T carried forward"] == 5
    assert dataset.summary.counts["Cool_T filled with the training median"] == 5


def test_a_target_is_never_filled_but_the_persistence_forecast_is() -> None:
    readings = sensors(100)
    readings["Oil_L"][30] = NAN
    dataset = prepare_data(telemetry(readings), spec())
    assert np.flatnonzero(dataset.frame["health_score"].isna()).tolist() == [30]
    assert dataset.frame["Oil_L"].iloc[30] == dataset.frame["Oil_L"].iloc[29]
    assert np.isfinite(dataset.persistence_forecast).all()
    assert dataset.summary.counts["rows without a health score"] == 1


def test_the_scaler_is_fitted_on_named_training_columns_without_clipping() -> None:
    readings = sensors(100)
    readings["Oil_P"][90] = 5000
    dataset = prepare_data(telemetry(readings), spec())
    assert tuple(dataset.scaler.feature_names_in_) == dataset.features
    np.testing.assert_array_equal(dataset.scaler.data_max_[0], np.float32(readings["Oil_P"][:80]).max())
    assert dataset.scaler.n_samples_seen_ == 80
    assert dataset.frame["Oil_P"].iloc[90] == 5000
    assert dataset.frame["health_score"].iloc[90] > 5


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


def _fitted(dataset: Any) -> dict[str, Any]:
    """Everything that was fitted or decided from data, and everything before the test start."""
    test_start = dataset.test_start
    decided: dict[str, Any] = {
        "test_start": test_start,
        "features": dataset.features,
        "dropped": dataset.summary.dropped_columns,
        "step": dataset.summary.step_seconds,
        "running": dataset.running[:test_start].tolist(),
        "segments": dataset.segments[:test_start].tolist(),
    }
    if isinstance(dataset, FailureDataset):
        usable = dataset.usable[:test_start]
        return decided | {
            "usable": usable.tolist(),
            "rows": dataset.frame.iloc[:test_start][usable].to_numpy().tobytes(),
        }
    scaler = dataset.scaler
    return decided | {
        "health": dataset.health,
        "scaler": (scaler.scale_.tolist(), scaler.min_.tolist(), scaler.n_samples_seen_),
        "rows": dataset.frame.iloc[:test_start].to_numpy().tobytes(),
        "forecast": dataset.persistence_forecast[:test_start].tobytes(),
    }


@pytest.mark.parametrize("model", ["gru", "xgb"])
@pytest.mark.parametrize("change", ["huge", "missing", "constant", "negative", "sentinel", "slow"])
def test_no_fitted_value_or_decision_depends_on_the_test_part(model: str, change: str) -> None:
    rows, test_start = 500, 400
    readings = with_events(rows, (100, 250, 450), Auto=np.ones(rows), FlexAnalogue4_2=np.arange(rows))
    readings["Succao"][:test_start] = NAN
    readings["Cool_T"][200:210] = NAN
    whole = telemetry(readings)
    values = whole.values.copy()
    timestamps = whole.timestamps.copy()
    match change:
        case "huge":
            values.iloc[test_start:] = (
                np.random.default_rng(5).uniform(1e3, 1e4, (rows - test_start, values.shape[1])).astype(np.float32)
            )
        case "missing":
            values.iloc[test_start:] = NAN
        case "constant":
            values.iloc[test_start:] = 7
        case "negative":
            values.iloc[test_start:] = -90
        case "sentinel":
            values.iloc[test_start:] = -1
        case "slow":
            timestamps[test_start + 1 :] += np.arange(rows - test_start - 1) * np.timedelta64(45, "s")
    changed = replace(whole, values=values, timestamps=timestamps)
    wanted = spec(model, missingIndicators="Neutral") if model == "gru" else spec(model, preFailureWindowMinutes=5)
    before, after = (_fitted(prepare_data(one, wanted)) for one in (whole, changed))
    assert before == after


def test_fitted_values_depend_on_the_training_part() -> None:
    readings = sensors(100)
    before = _fitted(prepare_data(telemetry(readings), spec()))
    readings["Oil_P"][79] = 5000
    readings["Cool_T"][:80] = 80
    after = _fitted(prepare_data(telemetry(readings), spec()))
    assert {name for name in before if before[name] != after[name]} == {
        *("features", "dropped", "health", "scaler", "rows", "forecast")
    }
