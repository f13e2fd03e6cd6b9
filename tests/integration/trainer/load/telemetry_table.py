"""The table ``processed_data`` of the tests that load: a spec that reads it, and how rows get into it."""

from datetime import UTC, datetime

import pandas as pd
import pytest
from psycopg2.extensions import connection

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import Window
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.copy import copy_rows
from trainingjob_trainer.storage.telemetry import load_telemetry
from trainingjob_trainer.tools.simulate import simulate

MACHINE = "MOTOBOMBA-007"
START = datetime(2025, 1, 1, tzinfo=UTC)
EVERYTHING = Window()


def spec(model: str = "gru", data: dict[str, object] | None = None, **block: object) -> TrainingJobSpec:
    """A spec of the machine; ``block`` has the settings of its model type."""
    return TrainingJobSpec.model_validate(
        {"machine": MACHINE, "model": {"type": model, model: block}, "data": data or {}}
    )


def write(session: connection, sql: str, *values: object) -> None:
    """Execute one statement."""
    with session.cursor() as cursor:
        cursor.execute(sql, values)


def write_simulated(session: connection, rows: int, machine: str = MACHINE) -> pd.DataFrame:
    """Write simulated telemetry; returns it."""
    table = pd.concat(simulate(machine, start=START, rows=rows), ignore_index=True)
    copy_rows(session, "processed_data", table)
    return table


def refusal(spec: TrainingJobSpec, window: Window = EVERYTHING) -> TrainingError:
    """The error that loading ends with."""
    with pytest.raises(TrainingError) as refusal:
        load_telemetry(spec, window)
    return refusal.value
