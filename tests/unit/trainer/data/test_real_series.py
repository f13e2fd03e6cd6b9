"""Real series of machines, if they are available: the results equal counts by other programs."""

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainingjob_api.spec import Data, TrainingJobSpec
from trainingjob_api.values import KEY_COLUMNS
from trainingjob_trainer.data.cleaning import clean
from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS, is_derived
from trainingjob_trainer.data.dataset import Telemetry
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.tools.csv_reader import Refusals, read_csv

DATA = Path(__file__).parents[5] / "shared" / "data"


@functools.cache
def blocks(path: Path) -> list[pd.DataFrame]:
    """The rows of a file; no row is refused."""
    refusals = Refusals()
    frames = list(read_csv(path, TELEMETRY_COLUMNS, refusals))
    assert not refusals.first
    return frames


def series(file: str, machine: str) -> Telemetry:
    """One machine of a file; skips the test if the file is missing."""
    path = DATA / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    frames = [frame[frame["motor_pump"] == machine] for frame in blocks(path)]
    rows = pd.concat(frames).sort_values("timestamp", kind="stable", ignore_index=True)
    values = rows[list(TELEMETRY_COLUMNS)].astype(np.float32)
    return Telemetry(machine, rows["timestamp"].to_numpy(), values, "0" * 64)


@functools.cache
def every_series() -> list[Telemetry]:
    """All sensors of every machine of every file; derived columns are left out."""
    files = sorted(DATA.glob("*.csv.gz"))
    if not files:
        pytest.skip(f"{DATA} has no series")
    found = []
    for file in files:
        for machine, rows in pd.read_csv(file, parse_dates=["timestamp"]).groupby("motor_pump"):
            ordered = rows.sort_values("timestamp", kind="stable", ignore_index=True)
            raw = [name for name in ordered if name not in KEY_COLUMNS and not is_derived(name)]
            timestamps = ordered["timestamp"].dt.tz_convert(None).to_numpy().astype("datetime64[us]")
            found.append(Telemetry(f"{file.name} {machine}", timestamps, ordered[raw].astype(np.float32), "0" * 64))
    return found


def spec(machine: str, model: str, **block: object) -> TrainingJobSpec:
    """A spec with defaults except for the given fields."""
    return TrainingJobSpec.model_validate({"machine": machine, "model": {"type": model, model: block}})


def test_an_engine_log_without_oil_sensors_trains_a_gru_with_neutral() -> None:
    telemetry = series("carobd_long_native.csv.gz", "CAROBD-LONG")
    with pytest.raises(TrainingError, match="Oil_P, Oil_L have no value"):
        prepare_data(telemetry, spec("CAROBD-LONG", "gru"))
    dataset = prepare_data(telemetry, spec("CAROBD-LONG", "gru", missingIndicators="Neutral"))
    assert dataset.features == ("Recalque", "Succao", "Eng_RPM", "Cool_T", "Bat_V")
    assert dataset.summary.segments == 12
    assert dataset.summary.rows_used == 60_947
    sequences = create_sequences(dataset, 60, 0.1)
    assert (len(sequences.training), len(sequences.validation), len(sequences.test)) == (43_341, 4_756, 12_010)


def test_an_engine_log_whose_speed_drops_are_restarts_trains_no_xgb() -> None:
    with pytest.raises(TrainingError) as refusal:
        prepare_data(series("carobd_long_native.csv.gz", "CAROBD-LONG"), spec("CAROBD-LONG", "xgb"))
    assert refusal.value.reason == "SingleClass"
    assert "in 11 rows, 10 of them restarts after a gap" in refusal.value.message
    assert "of the remaining 1, 0 are in the training part" in refusal.value.message


def test_an_analogue_input_is_used_as_the_discharge_pressure() -> None:
    telemetry = series("skab_processed.csv.gz", "SKAB-VALVE2-00")
    dataset = prepare_data(telemetry, spec("SKAB-VALVE2-00", "gru", missingIndicators="Neutral"))
    assert dataset.features == ("Recalque", "Cool_T")
    np.testing.assert_array_equal(dataset.frame["Recalque"], telemetry.values["FlexAnalogue4_1"])


def test_a_compressor_with_a_constant_oil_level_gets_a_warning() -> None:
    telemetry = series("metropt_samples_processed.csv.gz", "METROPT3-2020")
    dataset = prepare_data(telemetry, spec("METROPT3-2020", "gru", missingIndicators="Neutral"))
    assert dataset.summary.dropped_columns["Oil_L"] == "constant in the training part (1)"
    assert (dataset.frame["Recalque"] < 0).mean() > 0.19


def test_no_reading_of_a_real_series_counts_as_false() -> None:
    for telemetry in every_series():
        cleaned = clean(telemetry, Data(min_rows=3))
        assert not [name for name in cleaned.counts if "duplicate" not in name], telemetry.machine
        expected = telemetry.values.iloc[cleaned.kept].reset_index(drop=True)
        pd.testing.assert_frame_equal(cleaned.values, expected, obj=telemetry.machine)


@pytest.mark.parametrize(("sentinel", "sensors"), [(-1.0, ("Oil_P", "Eng_RPM")), (-273.2, ("Cool_T", "Oil_T"))])
@pytest.mark.parametrize("block", [True, False])
def test_real_readings_beside_sensors_at_a_sentinel_are_kept(
    sentinel: float, sensors: tuple[str, str], block: bool
) -> None:
    for telemetry in every_series():
        random = np.random.default_rng(len(telemetry.timestamps))
        start = random.integers(len(telemetry.timestamps) - 69)
        rows = np.arange(start, start + 69) if block else random.choice(len(telemetry.timestamps), 69, replace=False)
        values = telemetry.values.copy()
        # With this offset, each sensor has that value in one of these rows.
        values += np.float32(sentinel) - values.loc[rows[0]].fillna(0)
        for name in sensors:
            values.loc[rows, name] = np.float32(sentinel)
        cleaned = clean(replace(telemetry, values=values), Data(min_rows=3))
        # For these three sensors, -1 is a false reading by itself.
        others = [name for name in values if name not in (*sensors, "Bat_V", "Fuel_L", "Oil_L")]
        expected = values.iloc[cleaned.kept].reset_index(drop=True)[others]
        pd.testing.assert_frame_equal(cleaned.values[others], expected, obj=telemetry.machine)
        assert any(name.startswith("false readings") for name in cleaned.counts)
