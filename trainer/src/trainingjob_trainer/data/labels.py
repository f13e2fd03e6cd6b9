"""Failure labels: which rows are an event, which are shortly before one, and which must be excluded from training."""

import numpy as np
from numpy.typing import NDArray

MINIMUM_FAILURES = 5
"""Number of distinct failures in each part below which a good score may be chance."""


def failure_events(rpm_drop: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
    """Rows in which the relative change of the engine's speed, in percent, is at most the threshold.

    A missing value is not an event.
    """
    events: NDArray[np.bool_] = rpm_drop <= threshold
    return events


def failure_labels(
    timestamps: NDArray[np.datetime64], segments: NDArray[np.int32], events: NDArray[np.bool_], window: np.timedelta64
) -> NDArray[np.bool_]:
    """Rows that are followed by an event of the same segment within the window.

    A row at time t is labelled when an event lies in (t, t + window], that is event - window <= t < event.

    Args:
        timestamps: Strictly ascending, shape (rows,).
        segments: Segment of each row.
        events: Mask of the event rows.
        window: How long before an event rows are labelled.
    """
    event_rows = np.flatnonzero(events)
    labels = np.zeros(len(timestamps), np.bool_)
    if not event_rows.size:
        return labels
    # The next event strictly after each row.
    following = np.searchsorted(event_rows, np.arange(len(timestamps)), side="right")
    exists = following < len(event_rows)
    next_event = event_rows[following[exists]]
    near = timestamps[next_event] - timestamps[exists] <= window
    labels[exists] = near & (segments[next_event] == segments[exists])
    return labels


def distinct_failures(
    timestamps: NDArray[np.datetime64],
    segments: NDArray[np.int32],
    events: NDArray[np.bool_],
    test_start: int,
    window: np.timedelta64,
) -> tuple[int, int]:
    """Number of failures in the training and in the test part.

    Events of one part and segment that are at most a window apart are the same failure.

    Args:
        timestamps: Strictly ascending, shape (rows,).
        segments: Segment of each row.
        events: Mask of the event rows.
        test_start: Index of the first row of the test part.
        window: How long before an event rows are labelled.
    """
    rows = np.flatnonzero(events)
    in_test = rows >= test_start
    follows = (np.diff(timestamps[rows]) <= window) & (np.diff(segments[rows]) == 0) & (np.diff(in_test) == 0)
    first = np.concatenate(([True], ~follows))[: len(rows)]
    return int(np.count_nonzero(first & ~in_test)), int(np.count_nonzero(first & in_test))


def leakage_mask(timestamps: NDArray[np.datetime64], test_start: int, window: np.timedelta64) -> NDArray[np.bool_]:
    """Training rows whose window reaches into the test part, so that their label depends on the test part."""
    leaking: NDArray[np.bool_] = timestamps + window >= timestamps[test_start]
    leaking[test_start:] = False
    return leaking
