"""Rows to classify, with their labels."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Labels = NDArray[np.int8]


@dataclass(frozen=True)
class LabelledRows:
    """Rows with their labels.

    Attributes:
        features: Shape (rows, features), float32; NaN is a missing value.
        labels: Shape (rows,), 1 before a failure and 0 else.
    """

    features: pd.DataFrame
    labels: Labels
