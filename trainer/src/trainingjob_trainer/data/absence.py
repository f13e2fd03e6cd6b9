"""Why a column has no value in the training part, or has lost many: each cause in words that say what to do."""

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
"""Share of the readings of a sensor, or of all rows, above which false readings are a warning and not only counted."""


@dataclass(frozen=True)
class Absence:
    """Why a column has no value in the training part.

    Attributes:
        column: Its name.
        cause: What was found, with the numbers.
        remedy: What to do, as a whole sentence.
        has_readings: Whether the table holds readings of it, which to leave out would be a loss.
    """

    column: str
    cause: str
    remedy: str
    has_readings: bool

    @property
    def told(self) -> str:
        """All of it as two sentences."""
        return f"{self.column}: {self.cause}. {self.remedy}"


def absence(name: str, telemetry: Telemetry, cleaned: Cleaned, data: Data) -> Absence:
    """Tell why a column has no value in the training part.

    Args:
        name: A column that has none there after cleaning.
        telemetry: As it was cleaned.
        cleaned: What is left of it.
        data: The limits, and the table to name.
    """
    if name in telemetry.unreadable:
        unreadable = telemetry.unreadable[name]
        return Absence(
            name,
            f"the column is of type {unreadable.type_name}, so that its {unreadable.values} values are not read",
            "Make it double precision by ALTER TABLE, or name a numeric column under data.columns.",
            has_readings=True,
        )
    if name not in telemetry.values:
        return Absence(
            name,
            f"table {data.table} has no such column",
            "Upper and lower case count; name the column that holds it under data.columns.",
            has_readings=False,
        )
    values = telemetry.values[name].to_numpy(np.float32)[cleaned.kept[: cleaned.test_start]]
    present = values[~np.isnan(values)]
    if not present.size:
        return Absence(
            name,
            f"no value in any of the {len(values)} rows of the training part",
            "Name the column that holds it under data.columns, or widen the period.",
            has_readings=False,
        )
    if is_derived(name):
        return Absence(
            name,
            f"each of its {present.size} values in the training part is infinite, next to a false reading, or the "
            "first after a gap",
            "Look at the limits of the sensors that it is computed from.",
            has_readings=True,
        )
    limits = data.limits.get(name)
    implausible = bool(implausible_readings(present, limits).any())
    return Absence(
        name,
        f"all {present.size} readings of the training part are false: {_kinds(name, present, limits)}",
        _set_limits(name) if implausible else "Name the column that holds it under data.columns.",
        has_readings=implausible,
    )


def refuse_absent_indicators(machine: str, absences: Sequence[Absence]) -> None:
    """Refuse a machine whose health score lacks indicators.

    Raises:
        TrainingError: InsufficientData, naming each indicator with its cause and what to do.
    """
    if not absences:
        return
    neutral = " Or set missingIndicators to Neutral to count what is missing as 0.5."
    raise TrainingError(
        Reason.INSUFFICIENT_DATA,
        f"machine {machine}: the health indicators {', '.join(one.column for one in absences)} have no value in the "
        f"training part. {' '.join(one.told for one in absences)}"
        # A sensor that is there is to be read; to leave it out is no advice.
        + ("" if any(one.has_readings for one in absences) else neutral),
    )


def losses(names: Iterable[str], telemetry: Telemetry, cleaned: Cleaned, data: Data) -> list[str]:
    """Warn of sensors that lost more than 5 % of their readings, or of more than 5 % of all rows with a false reading.

    Args:
        names: The columns that the model is trained on.
        telemetry: As it was cleaned.
        cleaned: Says how many readings were false.
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
        warnings.append(f"{false} of {rows} rows ({false / rows:.1%}) hold a false reading: {', '.join(found)}.")
    return warnings


def _kinds(name: str, readings: NDArray[np.float32], limits: Limits | None) -> str:
    """How many readings are false by which rule."""
    lowest, highest = plausible_range(limits)
    implausible = readings[implausible_readings(readings, limits)]
    sentinels = int(np.count_nonzero(false_readings(name, readings, limits))) - implausible.size
    kinds = []
    if implausible.size:
        kinds.append(
            f"{implausible.size} lie beyond the limits {lowest:g} to {highest:g} (they are {implausible.min():g} to "
            f"{implausible.max():g})"
        )
    if sentinels:
        kinds.append(f"{sentinels} are a number that means no value")
    return " and ".join(kinds)


def _set_limits(name: str) -> str:
    return f"If these readings are right, in another unit perhaps, set data.limits of {name}."
