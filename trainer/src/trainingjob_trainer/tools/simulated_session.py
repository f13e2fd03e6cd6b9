"""Simulates the sensors of a motor-pump in one session, from switching the panel on to switching it off.

A session consists of standby, start, warm-up and work at changing speeds. It ends with a cool-down and a normal
switch-off, or with a failure: sensors drift, then the engine stops. Some sessions have a drift that recovers.
"""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import pandas as pd

from trainingjob_trainer.data.arrays import Floats

IDLE_SPEED = 1000.0
AMBIENT = 26.0
_CRANKING_VOLTAGE = 19.0


class Failure(Enum):
    """The kinds of failure."""

    LUBRICATION = "oil is lost: its pressure falls, the engine heats up"
    SUCTION = "the strainer clogs: suction and discharge fall, the speed hunts"


@dataclass(frozen=True)
class Condition:
    """The state of the machine between two sessions.

    Attributes:
        fuel: Fuel level, %.
        oil: Oil level at rest, %.
        coolant: Temperature of the coolant, C.
        starts: Number of starts so far.
        river: Level of the water at the intake, as suction pressure at rest, kPa.
    """

    fuel: float = 92.0
    oil: float = 47.0
    coolant: float = AMBIENT
    starts: int = 0
    river: float = -4.0


@dataclass(frozen=True)
class _Timetable:
    """Moments of a session in seconds since its start."""

    start: float
    work: float
    end_of_work: float
    engine_off: float
    end: float
    drift: float


def simulate_session(
    random: np.random.Generator, condition: Condition, failure: Failure | None, step_seconds: float
) -> tuple[Floats, pd.DataFrame, Condition]:
    """Simulate the sensors of one session.

    Args:
        random: Source of all random numbers.
        condition: The state after the previous session.
        failure: The failure at the end of the session; None for a normal switch-off.
        step_seconds: Mean time between two rows.

    Returns:
        Seconds since the start of the session, shape (rows,), ascending; the raw sensors and analogue inputs, one row
        each; the state for the next session.
    """
    timetable = _timetable(random, failure)
    rows = max(int(timetable.end / step_seconds), 2)
    seconds = np.arange(rows) * step_seconds + random.uniform(0, 0.2 * step_seconds, rows)
    noise = _Noise(random, rows, step_seconds)
    fault, drift = _drift(random, seconds, timetable, failure)
    dry, clogged = (drift if fault is kind else np.zeros(rows) for kind in (Failure.LUBRICATION, Failure.SUCTION))
    on = (seconds >= timetable.start) & (seconds < timetable.engine_off)

    speed = _speed(random, seconds, timetable, noise) * (1 + 0.02 * clogged * noise.white())
    speed = np.where(on, np.clip(speed, 0, 2035), 0.0)
    load = speed / 1600
    demand = 1 + 0.10 * noise.slow(1500) + 0.05 * np.sin(seconds / noise.period() + random.uniform(0, 6))
    discharge = noise.lagged(52 * load**2 * demand * (1 - 0.3 * clogged), 90, 0.0)
    discharge = discharge + 0.7 * (1 + 2 * clogged) * noise.white()
    river = condition.river + 1.5 * noise.slow(7200)
    suction = river - noise.lagged(22 * load * demand + 24 * clogged, 60, 0.0) + 0.9 * (1 + clogged) * noise.white()
    warm = np.where(on, 60 + 20 * load + 16 * dry, AMBIENT)
    coolant = noise.lagged(warm, 700, condition.coolant)
    pressure = 300 + 200 * load - 1.2 * (coolant - 70) + 14 * noise.slow(900)
    oil_pressure = noise.lagged(np.where(on, pressure - 150 * dry, 0.0), 15, 0.0) + on * 7 * noise.white()
    oil = condition.oil - 6 * noise.lagged(on.astype(float), 120, 0.0) - 9 * dry + 0.5 * noise.white()
    consumption = np.where(on, 3 + 16 * load**3 * (1 + 0.2 * clogged) + 0.3 * noise.white(), 0.0)
    fuel = condition.fuel - np.cumsum(consumption) * step_seconds / 3600 * 0.45
    charge = np.where(on, 28.2 + 0.1 * noise.white(), 0.0)
    battery = np.where(on, 28.0, 25.3) + 0.08 * noise.white()
    cranking = np.flatnonzero(on)[:1]
    battery[cranking] = _CRANKING_VOLTAGE + random.uniform(0, 2)

    sensors = pd.DataFrame(
        {
            "Auto": 1.0,
            "Bat_V": battery,
            "Char_V": charge,
            "Cool_T": coolant + 0.2 * noise.white(),
            "Eng_RPM": speed,
            "Fuel_Con": consumption,
            "Fuel_L": np.clip(fuel + 0.1 * noise.white(), 0, 100),
            "Man": 0.0,
            "Oil_L": oil,
            "Oil_P": np.maximum(oil_pressure, 0),
            "Recalque": discharge,
            "Starts_N": condition.starts + on.cumsum().clip(max=1.0),
            "Stop": (~on).astype(float),
            "Succao": suction,
            "running": on.astype(float),
            "FlexAnalogue4_1": 4 + 16 * np.clip(discharge / 100, 0, 1),
            "FlexAnalogue4_2": 4 + 16 * np.clip((suction + 100) / 200, 0, 1),
        }
    )
    tank = 100.0 if fuel[-1] < 36 else float(fuel[-1])
    level = 47.0 if dry.any() or condition.oil < 40 else condition.oil - 0.3
    cooled = AMBIENT + (float(coolant[-1]) - AMBIENT) * 0.3
    return seconds, sensors, Condition(tank, level, cooled, condition.starts + 1, float(np.clip(river[-1], -12, 2)))


class _Noise:
    """Random time series over the rows of one session."""

    def __init__(self, random: np.random.Generator, rows: int, step_seconds: float) -> None:
        self._random = random
        self._rows = rows
        self._step = step_seconds

    def white(self) -> Floats:
        return self._random.standard_normal(self._rows)

    def slow(self, seconds: float) -> Floats:
        """A series of unit variance whose autocorrelation decays with the given time constant."""
        memory = np.exp(-self._step / seconds)
        shocks = self.white() * np.sqrt((1 + memory) / (1 - memory))
        shocks[0] = self._random.standard_normal()
        return _averaged(shocks, 1 - memory)

    def lagged(self, target: Floats, seconds: float, start: float) -> Floats:
        """A series that follows a target with a time constant, starting at ``start``."""
        return _averaged(np.concatenate(([start], target)), 1 - float(np.exp(-self._step / seconds)))[1:]

    def period(self) -> float:
        """Seconds per radian of the water network's demand cycle."""
        return float(self._random.uniform(40, 60))


def _averaged(values: Floats, weight: float) -> Floats:
    return pd.Series(values).ewm(alpha=weight, adjust=False).mean().to_numpy(np.float64)


def _timetable(random: np.random.Generator, failure: Failure | None) -> _Timetable:
    standby, warm_up, cool_down = random.uniform(120, 480), random.uniform(120, 300), random.uniform(120, 300)
    start = standby
    work = start + warm_up
    end_of_work = work + random.uniform(4200, 9000)
    if failure is None:
        engine_off = end = end_of_work + cool_down
    else:
        engine_off = end_of_work
        end = engine_off + random.uniform(300, 900)
    return _Timetable(start, work, end_of_work, engine_off, end, engine_off - random.uniform(1800, 3600))


def _drift(
    random: np.random.Generator, seconds: Floats, timetable: _Timetable, failure: Failure | None
) -> tuple[Failure | None, Floats]:
    """The kind of drift and its extent, 0 to 1: rising until the failure, or, without a failure, rising and falling."""
    share = np.clip((seconds - timetable.drift) / (timetable.engine_off - timetable.drift), 0, 1)
    severity = random.uniform(0.4, 1)
    if failure:
        return failure, severity * share**1.3
    temporary = (*Failure, None, None)[int(random.integers(4))]
    return temporary, 0.5 * severity * np.sin(np.pi * share) ** 2


def _speed(random: np.random.Generator, seconds: Floats, timetable: _Timetable, noise: _Noise) -> Floats:
    """Engine speed: idle, then a new set point every 10 to 40 minutes, then idle, all with a lag of some seconds."""
    changes = np.cumsum(random.uniform(600, 2400, 24)) + timetable.work
    levels = random.choice([1450.0, 1600.0, 1600.0, 1600.0, 1750.0, 1900.0], 25)
    wanted = levels[np.searchsorted(changes, seconds, side="right")]
    wanted = np.where((seconds < timetable.work) | (seconds >= timetable.end_of_work), IDLE_SPEED, wanted)
    course = noise.lagged(wanted, 12, IDLE_SPEED)
    return course + 5 * noise.white() + 12 * noise.slow(120)
