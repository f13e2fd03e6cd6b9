"""Collects counts, dropped columns and warnings during the preparation of data."""

from collections.abc import Iterable

from trainingjob_api.spec import Data
from trainingjob_trainer.data.absence import Absence, absence, loss_warnings
from trainingjob_trainer.data.cleaning import Cleaned
from trainingjob_trainer.data.dataset import DataSummary, Telemetry


class Notes:
    """Collects the contents of the data summary.

    Attributes:
        telemetry: The loaded telemetry, with columns renamed by the spec.
        counts: Counts by name.
        dropped: The reason why a column is not used, by column.
        sources: The column that replaces another one, by the name of the replaced column.
        warnings: Warnings for the user, as complete sentences, the most important one first.
    """

    def __init__(self, telemetry: Telemetry, cleaned: Cleaned, data: Data) -> None:
        self.telemetry = telemetry
        self.counts = {**telemetry.counts, **cleaned.counts}
        self.dropped: dict[str, str] = {}
        self.sources: dict[str, str] = {}
        self.warnings = list(cleaned.warnings)
        self._cleaned = cleaned
        self._data = data

    def count(self, name: str, number: int) -> None:
        """Add a count, unless it is 0."""
        if number:
            self.counts[name] = number

    def absence(self, name: str) -> Absence:
        """Why a column has no value in the training part."""
        return absence(name, self.telemetry, self._cleaned, self._data)

    def drop(self, name: str) -> None:
        """Drop a column without values in the training part; add a warning if the table has readings of it."""
        why = self.absence(name)
        self.dropped[name] = why.cause
        if why.has_readings:
            self.warnings.append(f"Not used: {why.description}")

    def warn_of_losses(self, features: Iterable[str]) -> None:
        """Add warnings about features that lost many of their readings."""
        names = [self.sources.get(name, name) for name in features]
        self.warnings += loss_warnings(names, self.telemetry, self._cleaned, self._data)

    def summary(self) -> DataSummary:
        """The data summary."""
        cleaned = self._cleaned
        return DataSummary(
            rows_read=len(self.telemetry.timestamps),
            rows_used=len(cleaned.timestamps),
            segments=int(cleaned.segments[-1]) + 1,
            step_seconds=cleaned.step_seconds,
            fingerprint=self.telemetry.fingerprint,
            start=cleaned.timestamps[0],
            end=cleaned.timestamps[-1],
            counts=self.counts,
            dropped_columns=self.dropped,
            warnings=(*self.warnings, *self.telemetry.warnings),
        )
