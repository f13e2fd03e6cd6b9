"""What an import does with rows that are already in the table."""

from enum import StrEnum


class ExistingRows(StrEnum):
    """What an import does with rows whose machine and timestamp are already in the table.

    REFUSE imports nothing, SKIP skips those rows, ADD imports them again.
    """

    REFUSE = "refuse"
    SKIP = "skip"
    ADD = "add"
