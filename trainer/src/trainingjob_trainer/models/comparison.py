"""Comparison of a new model with the registered one, as plain data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from trainingjob_trainer.data.dataset import Dataset

MINIMUM_FRESH_ROWS = 100
"""Number of running rows after a model's data below which nothing is concluded from them."""


class IncomparableError(Exception):
    """Two models cannot be compared; the message is a sentence without a full stop that says why."""


@dataclass(frozen=True)
class RegisteredModel:
    """A registered model, as far as it can be read without a pickle.

    Attributes:
        address: Key of the model's object, without the bucket.
        registered_at: UTC, from its address.
        train_end: The last instant, UTC, that it was trained on.
        files: Content of its files by role; only those that ``ModelType.comparison_files`` names.
    """

    address: str
    registered_at: datetime
    train_end: np.datetime64
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Comparison:
    """A new model and the registered one, evaluated on the same rows of the new model's test part.

    Attributes:
        improvement: Above 0 where the new model is better; finite.
        metric: Name of the metric of both, such as ``rmse``.
        new: Its value for the new model.
        registered: Its value for the registered model.
        count: Number of test windows or test rows.
        unit: What is counted, in words.
    """

    improvement: float
    metric: str
    new: float
    registered: float
    count: int
    unit: str


@dataclass(frozen=True)
class FreshErrors:
    """The errors of a registered model, and of persistence, on running rows that it has never seen.

    Attributes:
        rmse: RMSE of the model.
        rmse_persistence: RMSE of persistence on the same rows.
        count: Number of these rows.
    """

    rmse: float
    rmse_persistence: float
    count: int


def require_features(registered: RegisteredModel, needed: Iterable[str], dataset: Dataset) -> None:
    """Check that the data of the new model has all columns that the registered model needs.

    Raises:
        IncomparableError: Some are absent; the message says why.
    """
    dropped = dataset.summary.dropped_columns
    absent = [
        f"{name} ({dropped.get(name, 'not among the features')})"
        for name in sorted(set(needed).difference(dataset.features))
    ]
    if absent:
        raise IncomparableError(f"{registered.address} needs columns that this model does not use: {', '.join(absent)}")


def require_count(registered: RegisteredModel, count: int, least: int, unit: str) -> None:
    """Check that there is enough to compare on after the end of the registered model's training part.

    Raises:
        IncomparableError: There are fewer than ``least``.
    """
    if count < least:
        end = np.datetime_as_string(registered.train_end, "s")
        raise IncomparableError(
            f"{registered.address} was trained on data until {end}Z; of the test part after that, {count} {unit} can "
            f"be compared, and at least {least} are needed"
        )
