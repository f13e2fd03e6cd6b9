"""What is said of data while it is prepared: counts, columns left out and why, warnings."""

from collections.abc import Iterable

from trainingjob_api.spec import Data
from trainingjob_trainer.data.absence import Absence, absence, losses
from trainingjob_trainer.data.cleaning import Cleaned
from trainingjob_trainer.data.dataset import DataSummary, Telemetry


class Notes:
    """Collects what becomes the summary of the data.

    Attributes:
        telemetry: The data as loaded, under the names that the spec gives its columns.
        counts: What was found, by name.
        dropped: Column to the reason why it is not used.
        sources: Column to the one that stands for it.
        warnings: What the person should know, in whole sentences, the most important one first.
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
        """Note how often something was found, unless it was not."""
        if number:
            self.counts[name] = number

    def absence(self, name: str) -> Absence:
        """Why a column has no value in the training part."""
        return absence(name, self.telemetry, self._cleaned, self._data)

    def drop(self, name: str) -> None:
        """Note that a column has no value in the training part, and warn where the table holds readings of it."""
        why = self.absence(name)
        self.dropped[name] = why.cause
        if why.has_readings:
            self.warnings.append(f"Not used: {why.told}")

    def warn_of_losses(self, features: Iterable[str]) -> None:
        """Warn of features that lost many of their readings."""
        names = [self.sources.get(name, name) for name in features]
        self.warnings += losses(names, self.telemetry, self._cleaned, self._data)

    def summary(self) -> DataSummary:
        """All of it."""
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
