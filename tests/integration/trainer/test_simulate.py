"""Simulated telemetry, written to PostgreSQL directly or by CSV and import, is sufficient for both model types."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from cluster.postgres import Database
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.postgres import create_tables, with_connection
from trainingjob_trainer.storage.telemetry import load_telemetry
from trainingjob_trainer.tools.check import check
from trainingjob_trainer.tools.importer import import_csv
from trainingjob_trainer.tools.simulate import simulate, write_csv

MACHINE = "MOTOBOMBA-007"
START = datetime(2025, 1, 1, tzinfo=UTC)


def spec(model: str) -> TrainingJobSpec:
    return TrainingJobSpec.model_validate({"machine": MACHINE, "model": {"type": model}})


@pytest.fixture(autouse=True)
def _tables(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in database.environment().items():
        monkeypatch.setenv(name, value)
    with_connection(create_tables, reason=Reason.REGISTRY_FAILED)


def test_simulated_telemetry_is_sufficient_for_both_model_types() -> None:
    with_connection(
        lambda session: [
            copy_rows(session, "processed_data", frame) for frame in simulate(MACHINE, start=START, rows=8000)
        ],
        reason=Reason.DATA_UNAVAILABLE,
    )
    gru, xgb = check(spec("gru"), Window()), check(spec("xgb"), Window())
    assert "8000 read" in gru
    assert "windows" in gru
    assert "rows lie shortly before a failure" in xgb


def test_export_to_csv_and_import_keep_every_value(tmp_path: Path) -> None:
    path = tmp_path / "telemetry.csv"
    with path.open("w") as stream:
        write_csv(simulate(MACHINE, start=START, rows=2500), stream)
    assert import_csv(path).rows == {MACHINE: 2500}
    imported = load_telemetry(spec("xgb"), Window())
    with_connection(
        lambda session: [
            session.cursor().execute("DELETE FROM processed_data"),
            *(copy_rows(session, "processed_data", frame) for frame in simulate(MACHINE, start=START, rows=2500)),
        ],
        reason=Reason.DATA_UNAVAILABLE,
    )
    direct = load_telemetry(spec("xgb"), Window())
    np.testing.assert_array_equal(imported.timestamps, direct.timestamps)
    np.testing.assert_array_equal(imported.values, direct.values)
    assert imported.fingerprint == direct.fingerprint
