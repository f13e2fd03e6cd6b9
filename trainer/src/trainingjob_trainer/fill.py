"""Filling of missing inputs: what was read shortly before, else what was usual in the training part."""

import numpy as np
from numpy.typing import NDArray

ROWS_CARRIED_FORWARD = 5


def carried_forward(
    values: NDArray[np.float32], first_of_segment: NDArray[np.bool_], rows: int = ROWS_CARRIED_FORWARD
) -> NDArray[np.float32]:
    """Repeat the last reading of the same segment for at most ``rows`` rows.

    Args:
        values: Readings, NaN where missing, shape (rows,).
        first_of_segment: Where segments begin.
        rows: How many missing rows after a reading get it.
    """
    position = np.arange(len(values))
    last_reading = np.maximum.accumulate(np.where(np.isfinite(values), position, -1))
    segment_start = np.maximum.accumulate(np.where(first_of_segment, position, 0))
    reachable = (last_reading >= segment_start) & (position - last_reading <= rows)
    return np.where(reachable, values[last_reading], np.float32(np.nan))
