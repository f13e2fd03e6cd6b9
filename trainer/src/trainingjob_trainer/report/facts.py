"""Data of the report's plots as arrays: axes without gaps, coverage, ranges of errors, formatted times."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.data.arrays import Floats, Instants

_ROOM_OF_GAPS = 0.1
_CUT_QUANTILE = 0.995
_WORTH_CUTTING = 2.0


@dataclass(frozen=True)
class Axis:
    """A time axis from which the gaps are cut out.

    Attributes:
        positions: Position of each window, shape (windows,); consecutive windows are 1 apart.
        breaks: Indices of the windows that a gap comes before.
        cuts: Positions of the gaps.
        alone: bool, shape (windows,): a gap on both sides, so that no line reaches the window.
    """

    positions: Floats
    breaks: NDArray[np.intp]
    cuts: Floats
    alone: NDArray[np.bool_]

    def broken(self, values: Floats | NDArray[np.bool_]) -> Floats:
        """Values of the windows with a NaN at each gap, shape (windows + gaps,)."""
        return np.insert(values.astype(np.float64), self.breaks, np.nan)


def axis_without_gaps(rows: NDArray[np.integer]) -> Axis:
    """Lay out windows side by side.

    Args:
        rows: Row of each window's target, ascending. A gap is where two of them are not consecutive: at the border of
            a segment, or where a health indicator is missing.
    """
    gap_before = np.diff(rows, prepend=rows[:1] - 1) != 1
    breaks = np.flatnonzero(gap_before)
    room = max(_ROOM_OF_GAPS * len(rows) / max(len(breaks), 5), 1.0)
    positions = np.arange(len(rows)) + room * np.cumsum(gap_before)
    edges = np.concatenate(([True], gap_before[1:], [True]))
    return Axis(positions, breaks, positions[breaks] - (1 + room) / 2, edges[:-1] & edges[1:])


def covered_share(
    times: Instants, segments: NDArray[np.integer], step_seconds: float, bins: int
) -> tuple[Instants, Floats]:
    """How much of the time has data: a segment covers the time from its first row to one step after its last.

    Args:
        times: Instant of each row, ascending, shape (rows,).
        segments: Segment of each row, ascending, shape (rows,).
        step_seconds: Median step.
        bins: Bins of equal length.

    Returns:
        Edges of the bins, shape (bins + 1,), and the share of each that is covered, 0 to 1, shape (bins,).
    """
    seconds = (times - times[0]).astype("timedelta64[us]").astype(np.int64) / 1e6
    first = np.flatnonzero(np.diff(segments, prepend=segments[:1] - 1))
    starts, ends = seconds[first], seconds[np.append(first[1:], len(seconds)) - 1] + step_seconds
    # A gap may be configured to be shorter than a step.
    ends[:-1] = np.minimum(ends[:-1], starts[1:])
    covered = np.concatenate(([0.0], np.cumsum(ends - starts)))
    moments = np.column_stack((starts, ends)).ravel()
    edges = np.linspace(0.0, ends[-1], bins + 1)
    share = np.diff(np.interp(edges, moments, np.repeat(covered, 2)[1:-1])) / (ends[-1] / bins)
    return times[0] + (edges * 1e6).astype("timedelta64[us]"), share


def reach_of_errors(*errors: Floats) -> float:
    """The range of a histogram of errors, from zero.

    It shows every error, unless the largest is more than twice as large as 99.5 % of them: then it shows those.
    """
    sizes = np.abs(np.concatenate(errors))
    largest, usual = float(sizes.max()), float(np.quantile(sizes, _CUT_QUANTILE))
    return max(usual if largest > _WORTH_CUTTING * usual else largest, 1e-9)


def in_words(moment: np.datetime64, span: np.timedelta64) -> str:
    """Format a time with the precision that an axis of that span needs."""
    written: datetime = moment.astype("datetime64[us]").item()
    if span < np.timedelta64(10, "m"):
        return f"{written:%H:%M:%S}"
    day = f"{written.day} {written:%b}"
    if span > np.timedelta64(300, "D"):
        return f"{day} {written.year}"
    return day if span > np.timedelta64(5, "D") else f"{day} {written:%H:%M}"
