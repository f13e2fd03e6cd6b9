"""If several sensors of a row have a sentinel, it is a false reading in others too; real readings are kept."""

import numpy as np
import pytest

from support.telemetry import Readings, sensors, spec, telemetry
from trainingjob_trainer.data.cleaning import Cleaned, clean
from trainingjob_trainer.models.factory import prepare_data

DATA = spec().data
ROWS = 6000


def with_block(start: int, sentinel: float = -1.0) -> dict[str, np.ndarray]:
    """A machine with a suction pressure of 788 to 1028; from ``start`` on, five sensors have a sentinel in 69 rows."""
    random = np.random.default_rng(3)
    warming_up = np.minimum(12 + np.arange(ROWS) % 600, 82)
    readings = sensors(ROWS) | {
        "Succao": random.uniform(788, 1028, ROWS),
        "Recalque": random.uniform(30, 70, ROWS),
        "Cool_T": warming_up + random.normal(0, 1, ROWS),
    }
    for name in ("Oil_P", "Eng_RPM", "Cool_T", "Recalque", "Succao"):
        readings[name][start : start + 69] = sentinel
    return readings


def cleaned(readings: Readings) -> Cleaned:
    return clean(telemetry(readings), DATA)


def lost(result: Cleaned) -> dict[str, int]:
    """The number of readings that are missing because others of their row are false, by sensor."""
    beside = "sentinels of other sensors in "
    return {name.removeprefix(beside): number for name, number in result.counts.items() if name.startswith(beside)}


@pytest.mark.parametrize("start", [1000, 5500, 4780])
def test_repeated_sentinels_of_a_row_are_missing_in_both_parts(start: int) -> None:
    result = cleaned(with_block(start))
    assert lost(result) == {"Cool_T": 69, "Recalque": 69, "Succao": 69}
    for name in ("Oil_P", "Eng_RPM", "Cool_T", "Recalque", "Succao"):
        assert np.flatnonzero(result.values[name].isna()).tolist() == list(range(start, start + 69))
    assert not result.values["Oil_L"].isna().any()


def test_the_score_range_ignores_sentinels_and_a_warning_says_so() -> None:
    dataset = prepare_data(telemetry(with_block(1000)), spec())
    low, high = dataset.health.ranges["Succao"]
    assert 788 <= low < high <= 1028
    (warning,) = dataset.summary.warnings
    assert "In 69 rows" in warning
    assert "Recalque (69), Succao (69), Cool_T (69)" in warning
    assert dataset.frame["health_score"].min() > -1


def test_a_single_row_of_sentinels_is_found_as_well() -> None:
    readings = with_block(ROWS)
    for name in ("Oil_P", "Eng_RPM", "Succao"):
        readings[name][700] = -1
    assert lost(cleaned(readings)) == {"Succao": 1}


def test_a_sentinel_within_wider_limits_is_found_as_well() -> None:
    readings = with_block(ROWS) | {"Succao": np.random.default_rng(3).uniform(20_100, 30_000, ROWS)}
    for name in ("Oil_P", "Eng_RPM", "Succao"):
        readings[name][700:720] = 65_535
    wide = spec(data={"limits": {"Succao": {"max": 100_000.0}}}).data
    assert lost(clean(telemetry(readings), wide)) == {"Succao": 20}


@pytest.mark.parametrize(
    ("sensor", "beside"),
    [
        pytest.param("Recalque", [-2, -1, 0, 1], id="a pressure around zero while the engine is off"),
        pytest.param("Bat_V", [24.5], id="another number than the sentinel"),
        pytest.param("Cool_T", [-3, -2, -1, 0], id="frost"),
    ],
)
def test_plausible_readings_beside_sentinels_are_kept(sensor: str, beside: list[float]) -> None:
    readings = sensors(ROWS)
    off = slice(2000, 2400)
    readings["Oil_P"][off] = readings["Eng_RPM"][off] = -1
    readings[sensor][off] = np.resize(beside, 400)
    assert lost(cleaned(readings)) == {}


def test_a_number_that_a_sensor_also_has_in_other_rows_is_kept() -> None:
    readings = with_block(1000)
    readings["Succao"][3000:3010] = -1
    assert "Succao" not in lost(cleaned(readings))


def test_a_number_within_the_usual_readings_is_kept() -> None:
    readings = with_block(1000)
    readings["Recalque"] = np.where(readings["Recalque"] == -1, -1, np.random.default_rng(4).uniform(-20, 60, ROWS))
    assert "Recalque" not in lost(cleaned(readings))


def test_a_sentinel_in_one_sensor_does_not_affect_the_others() -> None:
    readings = with_block(ROWS)
    readings["Oil_P"][700] = readings["Succao"][700] = -1
    assert lost(cleaned(readings)) == {}
