"""Explains why a column has no value in the training part, or lost many values, and what to do."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import Data
from trainingjob_api.values import Limits
from trainingjob_trainer.data.cleaning import Cleaned
from trainingjob_trainer.data.columns import is_derived
from trainingjob_trainer.data.dataset import Telemetry
from trainingjob_trainer.data.false_readings import false_readings, implausible_readings, plausible_range
from trainingjob_trainer.errors import TrainingError

SHARE_WORTH_A_WARNING = 0.05
"""Fraction of a sensor's readings, or of all rows, above which false readings cause a warning."""


@dataclass(frozen=True)
class Absence:
    """Why a column has no value in the training part.

    Attributes:
        column: Name of the column.
        cause: The cause, with numbers.
        remedy: What to do, as a complete sentence.
        has_readings: Whether the table has readings of it, so that data are lost if the column is not used.
    """

    column: str
    cause: str
    remedy: str
    has_readings: bool

    @property
    def description(self) -> str:
        """Column, cause and remedy as two sentences."""
        return f"{self.column}: {self.cause}. {self.remedy}"


def absence(name: str, telemetry: Telemetry, cleaned: Cleaned, data: Data) -> Absence:
    """Determine why a column has no value in the training part.

    Args:
        name: A column without values in the training part after cleaning.
        telemetry: The telemetry before cleaning.
        cleaned: The telemetry after cleaning.
        data: The limits, and the name of the table.
    """
    if name in telemetry.unreadable:
        unreadable = telemetry.unreadable[name]
        return Absence(
            name,
            f"the column is of type {unreadable.type_name}, so that its {unreadable.values} values are not read",
            "Change its type to double precision by ALTER TABLE, or set a numeric column in data.columns.",
            has_readings=True,
        )
    if name not in telemetry.values:
        return Absence(
            name,
            f"table {data.table} has no such column",
            "Names are case-sensitive; set the column that has these readings in data.columns.",
            has_readings=False,
        )
    values = telemetry.values[name].to_numpy(np.float32)[cleaned.kept[: cleaned.test_start]]
    present = values[~np.isnan(values)]
    if not present.size:
        return Absence(
            name,
            f"no value in any of the {len(values)} rows of the training part",
            "Set the column that has these readings in data.columns, or choose a longer period.",
            has_readings=False,
        )
    if is_derived(name):
        return Absence(
            name,
            f"each of its {present.size} values in the training part is infinite, next to a false reading, or the "
            "first after a gap",
            "Check the limits of the sensors from which it is computed.",
            has_readings=True,
        )
    limits = data.limits.get(name)
    implausible = bool(implausible_readings(present, limits).any())
    return Absence(
        name,
        f"all {present.size} readings of the training part are false: {_kinds(name, present, limits)}",
        _set_limits(name) if implausible else "Set the column that has these readings in data.columns.",
        has_readings=implausible,
    )


def refuse_absent_indicators(machine: str, absences: Sequence[Absence]) -> None:
    """Refuse telemetry that lacks indicators of the health score.

    Raises:
        TrainingError: InsufficientData; the message has each indicator with the cause and what to do.
    """
    if not absences:
        return
    neutral = " Or set missingIndicators to Neutral to replace missing indicators by 0.5."
    raise TrainingError(
        Reason.INSUFFICIENT_DATA,
        f"machine {machine}: the health indicators {', '.join(one.column for one in absences)} have no value in the "
        f"training part. {' '.join(one.description for one in absences)}"
        # Do not suggest to ignore an indicator that has readings.
        + ("" if any(one.has_readings for one in absences) else neutral),
    )


def loss_warnings(names: Iterable[str], telemetry: Telemetry, cleaned: Cleaned, data: Data) -> list[str]:
    """Warnings about sensors that lost more than 5 % of their readings, or if over 5 % of rows have a false reading.

    Args:
        names: The columns on which the model is trained.
        telemetry: The telemetry before cleaning.
        cleaned: The telemetry after cleaning; it has the number of false readings.
        data: The limits.
    """
    warnings, found = [], []
    rows = len(telemetry.timestamps)
    false_in_row = np.zeros(rows, np.bool_)
    for name in names:
        if not (lost := cleaned.counts.get(f"false readings in {name}", 0)):
            continue
        values, limits = telemetry.values[name].to_numpy(np.float32), data.limits.get(name)
        present = values[~np.isnan(values)]
        found.append(f"{name} ({lost})")
        false_in_row |= false_readings(name, values, limits)
        if lost > SHARE_WORTH_A_WARNING * present.size:
            implausible = implausible_readings(present, limits).any()
            warnings.append(
                f"{name}: {lost} of {present.size} readings ({lost / present.size:.1%}) count as missing: "
                f"{_kinds(name, present, limits)}.{' ' + _set_limits(name) if implausible else ''}"
            )
    false = int(np.count_nonzero(false_in_row))
    if not warnings and false > SHARE_WORTH_A_WARNING * rows:
        warnings.append(f"{false} of {rows} rows ({false / rows:.1%}) have a false reading: {', '.join(found)}.")
    return warnings


def _kinds(name: str, readings: NDArray[np.float32], limits: Limits | None) -> str:
    """The number of false readings by rule."""
    lowest, highest = plausible_range(limits)
    implausible = readings[implausible_readings(readings, limits)]
    sentinels = int(np.count_nonzero(false_readings(name, readings, limits))) - implausible.size
    kinds = []
    if implausible.size:
        kinds.append(
            f"{implausible.size} are outside the limits {lowest:g} to {highest:g} (they are {implausible.min():g} to "
            f"{implausible.max():g})"
        )
    if sentinels:
        kinds.append(f"{sentinels} are a sentinel for a missing value")
    return " and ".join(kinds)


def _set_limits(name: str) -> str:
    return f"If these readings are correct, for example in another unit, set data.limits of {name}."
