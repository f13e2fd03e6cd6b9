"""The dataset of a gru: features, health score, filled inputs and the scaler."""

import numpy as np
import pytest

from support.telemetry import sensors, spec, telemetry
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data

NAN = float("nan")


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


def test_a_constant_sensor_scores_half_and_is_dropped_with_a_note() -> None:
    readings = sensors(100) | {"Oil_P": np.r_[np.full(90, 480), np.full(10, 240)]}
    dataset = prepare_data(telemetry(readings), spec())
    assert "Oil_P" not in dataset.features
    assert dataset.summary.dropped_columns == {"Oil_P": "constant in the training part (480)"}
    assert any("Oil_P" in warning for warning in dataset.summary.warnings)
    assert dataset.health.constant == 0.125
    assert dataset.frame["health_score"].notna().all()
    assert dataset.frame["health_score"].iloc[90:].abs().max() < 2


def test_an_indicator_without_values_is_refused_by_name() -> None:
    readings = sensors(100) | {"Oil_L": np.full(100, -1)}
    with pytest.raises(TrainingError, match="MOTOBOMBA-007: the health indicators Oil_L have no value") as refusal:
        prepare_data(telemetry(readings), spec())
    assert refusal.value.reason == "InsufficientData"
    dataset = prepare_data(telemetry(readings), spec(missingIndicators="Neutral"))
    assert dataset.health.neutral == ("Oil_L",)


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
