"""Compares a new failure model with the registered one on the same test rows, by average precision."""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import average_precision_score

from trainingjob_api.spec import Xgb
from trainingjob_trainer.data.dataset import FailureDataset, TrainedModel
from trainingjob_trainer.data.labels import MINIMUM_FAILURES, distinct_failures
from trainingjob_trainer.models.comparison import (
    Comparison,
    IncomparableError,
    RegisteredModel,
    require_count,
    require_features,
)

if TYPE_CHECKING:
    from xgboost import Booster


def compare_xgb(dataset: FailureDataset, xgb: Xgb, trained: TrainedModel, registered: RegisteredModel) -> Comparison:
    """Evaluate a registered failure model on the test rows and labels of a new one.

    Args:
        dataset: The data of the new model.
        xgb: What the new model calls a failure.
        trained: The new model; its ``report`` has labels and probabilities of all test rows.
        registered: The model to compare with. Its features may differ.

    Raises:
        IncomparableError: It cannot be read, needs other columns, or too few failures are in the test rows that it was
            not trained on.
    """
    booster = _read(registered)
    features = booster.feature_names or []
    require_features(registered, features, dataset)
    first = max(dataset.test_start, int(np.searchsorted(dataset.timestamps, registered.train_end, side="right")))
    window = np.timedelta64(xgb.pre_failure_window_minutes, "m")
    _, failures = distinct_failures(dataset.timestamps, dataset.segments, dataset.events, first, window)
    require_count(registered, failures, MINIMUM_FAILURES, "distinct failures")
    labels = trained.report["label"][first - dataset.test_start :]
    rows = dataset.frame.iloc[first:][features].to_numpy(np.float32)
    new = float(average_precision_score(labels, trained.report["probability"][first - dataset.test_start :]))
    of_registered = float(average_precision_score(labels, booster.inplace_predict(rows)))
    return Comparison(new - of_registered, "average_precision", new, of_registered, len(labels), "test rows")


def _read(registered: RegisteredModel) -> "Booster":
    # Imported here, because the other model types do not need this library.
    from xgboost import Booster

    content = registered.files["model-ubj"]
    try:
        if not content:
            # XGBoost would end the process.
            raise ValueError("the file is empty")
        return Booster(model_file=bytearray(content))
    except ValueError as error:
        raise IncomparableError(f"{registered.address} cannot be read: its UBJSON file is damaged") from error
