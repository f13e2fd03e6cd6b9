"""Real series of machines, where they are at hand: what is found in them is what was counted by other means."""

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainingjob_trainer.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.csv_telemetry import Refusals, read_csv
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.prepare import prepare_data
from trainingjob_trainer.prepared import Telemetry
from trainingjob_trainer.spec import TrainingJobSpec
from trainingjob_trainer.windows import create_sequences

DATA = Path(__file__).parents[4] / "shared" / "data"


@functools.cache
def blocks(path: Path) -> list[pd.DataFrame]:
    """The rows of a file, none of which is refused."""
    refusals = Refusals()
    frames = list(read_csv(path, TELEMETRY_COLUMNS, refusals))
    assert not refusals.first
    return frames


def series(file: str, machine: str) -> Telemetry:
    """One machine of a file, or a skipped test where the file is absent."""
    path = DATA / file
    if not path.exists():
        pytest.skip(f"{path} is not here")
    frames = [frame[frame["motor_pump"] == machine] for frame in blocks(path)]
    rows = pd.concat(frames).sort_values("timestamp", kind="stable", ignore_index=True)
    values = rows[list(TELEMETRY_COLUMNS)].astype(np.float32)
    return Telemetry(machine, rows["timestamp"].to_numpy(), values, "0" * 64)


def spec(machine: str, model: str, **block: object) -> TrainingJobSpec:
    """Defaults but for what is told."""
    return TrainingJobSpec.model_validate({"machine": machine, "model": {"type": model, model: block}})


def test_an_engine_log_trains_a_gru_once_its_missing_oil_sensors_count_as_neutral() -> None:
    telemetry = series("carobd_long_native.csv.gz", "CAROBD-LONG")
    with pytest.raises(TrainingError, match="Oil_P, Oil_L have no value"):
        prepare_data(telemetry, spec("CAROBD-LONG", "gru"))
    prepared = prepare_data(telemetry, spec("CAROBD-LONG", "gru", missingIndicators="Neutral"))
    assert prepared.features == ("Recalque", "Succao", "Eng_RPM", "Cool_T", "Bat_V")
    assert prepared.summary.segments == 12
    assert prepared.summary.rows_used == 60_947
    sequences = create_sequences(prepared, 60, 0.1)
    assert (len(sequences.training), len(sequences.validation), len(sequences.test)) == (43_341, 4_756, 12_010)


def test_the_same_engine_log_cannot_train_an_xgb_because_its_falls_of_speed_are_restarts() -> None:
    with pytest.raises(TrainingError) as refusal:
        prepare_data(series("carobd_long_native.csv.gz", "CAROBD-LONG"), spec("CAROBD-LONG", "xgb"))
    assert refusal.value.reason == "SingleClass"
    assert "in 11 rows, 10 of them restarts after a gap" in refusal.value.message
    assert "of the 1 left, 0 lie in the training part" in refusal.value.message


def test_a_test_bed_whose_pressure_is_an_analogue_input_uses_it_as_discharge() -> None:
    telemetry = series("skab_processed.csv.gz", "SKAB-VALVE2-00")
    prepared = prepare_data(telemetry, spec("SKAB-VALVE2-00", "gru", missingIndicators="Neutral"))
    assert prepared.features == ("Recalque", "Cool_T")
    np.testing.assert_array_equal(prepared.frame["Recalque"], telemetry.values["FlexAnalogue4_1"])


def test_a_compressor_whose_oil_level_never_changes_is_told_so() -> None:
    telemetry = series("metropt_samples_processed.csv.gz", "METROPT3-2020")
    prepared = prepare_data(telemetry, spec("METROPT3-2020", "gru", missingIndicators="Neutral"))
    assert prepared.summary.dropped_columns["Oil_L"] == "constant in the training part (1)"
    assert (prepared.frame["Recalque"] < 0).mean() > 0.19
