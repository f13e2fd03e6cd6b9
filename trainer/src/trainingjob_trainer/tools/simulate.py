"""Simulates the telemetry of a motor-pump, with all columns of the table and the faults of real telemetry."""

import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import TextIO

import numpy as np
import pandas as pd

from trainingjob_trainer.data.columns import TELEMETRY_COLUMNS
from trainingjob_trainer.data.derived import with_derived_columns
from trainingjob_trainer.tools.simulated_session import Condition, Failure, simulate_session

_SESSIONS_PER_FAILURE = 3
_FALSE_READINGS = (
    ("Eng_RPM", 2_147_483_647.0),
    ("Recalque", 2_147_483_643.0),
    ("Oil_P", -1.0),
    ("Fuel_L", 65_535.0),
    ("Cool_T", -273.2),
    ("Oil_L", -1.0),
)
_FALSE_READING_SHARE = 0.0006
_LOST_ROW_SHARE = 0.002
_DUPLICATE_SHARE = 0.001
_OUTAGE_EVERY = 5


def simulate(
    machine: str, *, start: datetime, rows: int, step_seconds: float = 10.0, seed: int = 42
) -> Iterator[pd.DataFrame]:
    """Simulate the telemetry of one machine.

    Derived columns are computed from the sensors, including false readings, as in real telemetry. Every third session
    ends in a failure after a drift of sensors. Equal arguments give equal telemetry.

    Args:
        machine: Name of the machine; it also seeds the random numbers.
        start: Start of the first session, with a time zone.
        rows: Number of rows. They cover more time than rows x step, because the machine is off between sessions.
        step_seconds: Mean time between two rows.
        seed: Seed of the random numbers.

    Yields:
        One frame per session: ``timestamp`` (``datetime64[us]``, UTC), ``motor_pump`` and the columns of the table;
        NaN is NULL. Rows with a repeated timestamp come last and have fewer values.
    """
    begin = _instant(start)
    condition = Condition()
    previous: pd.DataFrame | None = None
    left = rows
    number = 0
    while left > 0:
        random = np.random.default_rng((seed, zlib.crc32(machine.encode()), number))
        seconds, sensors, condition = simulate_session(random, condition, _failure(number), step_seconds)
        sensors.insert(0, "timestamp", begin + (seconds * 1e6).astype("timedelta64[us]"))
        pause = np.timedelta64(int(random.uniform(1800, 14_400) * 1e6), "us")
        begin = sensors["timestamp"].to_numpy()[-1] + pause
        session = _with_faults(random, sensors, outage=number % _OUTAGE_EVERY == 2)
        session = with_derived_columns(session, previous)
        previous = session.iloc[-1:]
        session = _with_duplicates(random, session).iloc[:left].copy()
        session.insert(1, "motor_pump", machine)
        yield session
        left -= len(session)
        number += 1


def write_csv(frames: Iterable[pd.DataFrame], stream: TextIO) -> int:
    """Write simulated telemetry as CSV in the format of the command ``import``.

    Returns:
        Rows written.
    """
    rows = 0
    for frame in frames:
        zoned = frame.assign(timestamp=frame["timestamp"].dt.tz_localize(UTC))
        zoned.to_csv(stream, index=False, header=rows == 0, lineterminator="\n")
        rows += len(frame)
    return rows


def _failure(session: int) -> Failure | None:
    if session % _SESSIONS_PER_FAILURE != 1:
        return None
    return (Failure.LUBRICATION, Failure.SUCTION)[session // _SESSIONS_PER_FAILURE % 2]


def _instant(moment: datetime) -> np.datetime64:
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def _with_faults(random: np.random.Generator, sensors: pd.DataFrame, *, outage: bool) -> pd.DataFrame:
    rows = len(sensors)
    kept = random.random(rows) >= _LOST_ROW_SHARE
    kept[[0, -1]] = True
    if outage:
        middle = int(rows * random.uniform(0.3, 0.5))
        kept[middle : middle + rows // 12] = False
    for row in np.flatnonzero(random.random(rows) < _FALSE_READING_SHARE):
        sensor, reading = _FALSE_READINGS[int(random.integers(len(_FALSE_READINGS)))]
        sensors.loc[row, sensor] = reading
    return sensors[kept].reset_index(drop=True)


def _with_duplicates(random: np.random.Generator, session: pd.DataFrame) -> pd.DataFrame:
    repeated = session[random.random(len(session)) < _DUPLICATE_SHARE].copy()
    emptied = random.choice(len(TELEMETRY_COLUMNS), 6, replace=False)
    repeated[[TELEMETRY_COLUMNS[index] for index in emptied]] = np.nan
    return pd.concat([session, repeated], ignore_index=True)
