"""How good failure probabilities are, where to draw the line between alarm and none, and which inputs matter."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, classification_report, roc_auc_score

Labels = NDArray[np.int8]
Probabilities = NDArray[np.float32]

DECISION = 0.5
"""Rows above this probability count as predicted failures, as in ``XGBClassifier.predict``."""

_MAXIMUM_ROWS_PERMUTED = 20_000


def operating_threshold(labels: Labels, probabilities: Probabilities, target_recall: float) -> float:
    """The highest threshold at which at least the wanted share of the positive rows is found.

    Args:
        labels: Shape (rows,), at least one of them 1.
        probabilities: Shape (rows,), each by a model that has not seen its row.
        target_recall: Share of the positive rows whose probability shall reach the threshold, above 0, at most 1.
    """
    found = np.sort(probabilities[labels == 1])[::-1]
    wanted = math.ceil(target_recall * len(found) - 1e-9)
    return float(found[max(wanted, 1) - 1])


def classification_metrics(labels: Labels, probabilities: Probabilities, threshold: float) -> dict[str, Any]:
    """Metrics of the test part; NaN where the data allow no number.

    Args:
        labels: Shape (rows,).
        probabilities: Shape (rows,).
        threshold: The operating threshold: rows that reach it are alarms.

    Returns:
        By name: ``auc_score``, ``average_precision``, ``classification_report`` (scikit-learn's dict, at 0.5),
        ``precision`` and ``recall`` (at 0.5), the same and ``alarm_share`` with the suffix ``_at_threshold``.
    """
    positives = labels == 1
    some, both = bool(positives.any()), bool(positives.any() and not positives.all())
    predicted = probabilities > DECISION
    alarms = probabilities >= threshold
    return {
        "auc_score": float(roc_auc_score(labels, probabilities)) if both else math.nan,
        "average_precision": float(average_precision_score(labels, probabilities)) if some else math.nan,
        "classification_report": classification_report(
            labels, predicted.astype(np.int8), labels=[0, 1], output_dict=True, zero_division=0.0
        ),
        "precision": _share(positives, of=predicted),
        "recall": _share(predicted, of=positives),
        "precision_at_threshold": _share(positives, of=alarms),
        "recall_at_threshold": _share(alarms, of=positives),
        "alarm_share_at_threshold": float(np.mean(alarms)) if len(alarms) else math.nan,
    }


def permutation_importance(
    predict: Callable[[pd.DataFrame], Probabilities], features: pd.DataFrame, labels: Labels, seed: int
) -> Mapping[str, float]:
    """What permuting each feature costs in average precision, on at most 20,000 rows, evenly spaced.

    Returns:
        By feature; empty where the rows are all of one class.
    """
    rows = np.unique(np.linspace(0, len(labels) - 1, min(len(labels), _MAXIMUM_ROWS_PERMUTED)).astype(np.intp))
    features, labels = features.iloc[rows], labels[rows]
    if len(np.unique(labels)) < 2:
        return {}
    generator = np.random.default_rng(seed)
    base = average_precision_score(labels, predict(features))
    costs = {}
    for name in features.columns:
        permuted = features.assign(**{name: generator.permutation(features[name].to_numpy())})
        costs[str(name)] = float(base - average_precision_score(labels, predict(permuted)))
    return costs


def _share(hits: NDArray[np.bool_], *, of: NDArray[np.bool_]) -> float:
    total = np.count_nonzero(of)
    return float(np.count_nonzero(hits & of) / total) if total else math.nan
