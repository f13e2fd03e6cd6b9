"""Computes the derived columns of telemetry with the formulas of the upstream program.

Like in the real table, false readings and gaps are ignored; a restart, for example, is a speed drop of 100 %.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from trainingjob_trainer.data.columns import RAW_COLUMNS, TELEMETRY_COLUMNS, VARIATION_PERCENTAGES, VARIATIONS


def with_derived_columns(sensors: pd.DataFrame, previous: pd.DataFrame | None) -> pd.DataFrame:
    """Add every derived column to the readings of one machine.

    Args:
        sensors: ``timestamp`` (``datetime64[us]``, ascending), the raw columns and the analogue inputs.
        previous: The row before the first one, with the same columns; None at the start of the data, where differences
            are 0.

    Returns:
        The same rows with ``timestamp`` and the columns of ``processed_data`` in its order; 0/0 is NaN and x/0 is
        infinite in the percentages.
    """
    before = sensors.iloc[:1] if previous is None else previous
    columns: dict[str, NDArray[np.float64]] = {name: sensors[name].to_numpy(np.float64) for name in RAW_COLUMNS}
    last = {name: _shifted(values, float(before[name].iloc[0])) for name, values in columns.items()}
    instants = sensors["timestamp"].to_numpy()
    minutes = np.diff(instants, prepend=before["timestamp"].to_numpy()[:1]) / np.timedelta64(60, "s")
    minutes_running = np.where(columns["running"] > 0, minutes, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        for difference, percentage in zip(VARIATIONS, VARIATION_PERCENTAGES, strict=True):
            name = difference.removesuffix("_variation")
            columns[difference] = columns[name] - last[name]
            columns[percentage] = 100 * (columns[name] / last[name] - 1)
        head = columns["Recalque"] - columns["Succao"]
        speed = columns["Eng_RPM"]
        head_change = head - (last["Recalque"] - last["Succao"])
        columns |= {
            "minutes_running": minutes_running,
            "Hydraulic_Head": head,
            "Head_per_RPM": _finite(head / speed),
            "Head_trend_per_minutes": _finite(head_change / minutes_running),
            "OilP_per_RPM": _finite(columns["Oil_P"] / speed),
            "CoolT_per_RPM": _finite(columns["Cool_T"] / speed),
            "Fuel_rate": _finite(-columns["Fuel_L_variation"] / minutes_running),
            "Fuel_efficiency": _finite(columns["Recalque"] / columns["Fuel_Con"]),
        }
    rest = {name: sensors[name].to_numpy(np.float64) for name in TELEMETRY_COLUMNS if name not in columns}
    columns |= rest
    return pd.DataFrame({"timestamp": instants} | {name: columns[name] for name in TELEMETRY_COLUMNS})


def _shifted(values: NDArray[np.float64], first: float) -> NDArray[np.float64]:
    return np.concatenate(([first], values[:-1]))


def _finite(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(values), values, 0.0)
