"""Filling of missing inputs: what was read shortly before, else what was usual in the training part."""

import numpy as np
from numpy.typing import NDArray

ROWS_CARRIED_FORWARD = 5


def carried_forward(
    values: NDArray[np.float32], segments: NDArray[np.int32], rows: int = ROWS_CARRIED_FORWARD
) -> NDArray[np.float32]:
    """Repeat the last reading of the same segment for at most ``rows`` rows.

    Args:
        values: Readings, NaN where missing, shape (rows,).
        segments: Segment of each row.
        rows: How many missing rows after a reading get it.
    """
    filled = values.copy()
    missing = np.flatnonzero(np.isnan(values))
    for distance in range(1, rows + 1):
        missing = missing[missing >= distance]
        source = missing - distance
        found = ~np.isnan(values[source]) & (segments[source] == segments[missing])
        filled[missing[found]] = values[source[found]]
        missing = missing[~found]
    return filled
