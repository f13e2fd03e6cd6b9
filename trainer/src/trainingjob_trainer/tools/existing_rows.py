"""The choice between rows of an import and the same rows in the table."""

from enum import StrEnum


class ExistingRows(StrEnum):
    """What becomes of an import's rows whose machine and timestamp are in the table already.

    REFUSE imports nothing, SKIP leaves those rows out, ADD imports them once more.
    """

    REFUSE = "refuse"
    SKIP = "skip"
    ADD = "add"
