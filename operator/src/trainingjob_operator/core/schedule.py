"""The schedule of a TrainingFleet, with defaults resolved. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from trainingjob_api import fleet_spec
from trainingjob_api.defaults import defaults_of
from trainingjob_api.schedule import check_cron, check_time_zone, last_time, next_time

_DEFAULTS = defaults_of(fleet_spec.Schedule)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron schedule.

    Attributes:
        cron: Five fields; only valid if ``error`` is None.
        time_zone: IANA name; only valid if ``error`` is None.
        starting_deadline: How late a run may start.
    """

    cron: str
    time_zone: str
    starting_deadline: timedelta

    @classmethod
    def read(cls, schedule: Mapping[str, Any]) -> Self:
        """Read ``spec.schedule``."""
        resolved = {**_DEFAULTS, **schedule}
        seconds = timedelta(seconds=resolved["startingDeadlineSeconds"])
        return cls(resolved["cron"], resolved["timeZone"], seconds)

    @property
    def error(self) -> str | None:
        """What is wrong with it; None if it is valid. The CRD cannot check cron expressions and time zones."""
        try:
            check_cron(self.cron)
        except ValueError as error:
            return f"spec.schedule.cron {self.cron!r} {error}"
        try:
            check_time_zone(self.time_zone)
        except ValueError as error:
            return f"spec.schedule.timeZone {self.time_zone!r} {error}"
        return None

    def after(self, moment: datetime) -> datetime:
        """The first scheduled minute after an instant."""
        return next_time(self.cron, self.time_zone, moment)

    def until(self, moment: datetime) -> datetime:
        """The last scheduled minute that is not after an instant."""
        return last_time(self.cron, self.time_zone, moment)
