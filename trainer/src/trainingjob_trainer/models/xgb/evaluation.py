"""Evaluation of an xgb model: classification metrics, the operating threshold and feature importance."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn import inspection
from sklearn.metrics import (
    average_precision_score,
    classification_report,
    precision_score,
    recall_score,
    roc_auc_score,
)

from trainingjob_trainer.data.labels import MINIMUM_FAILURES
from trainingjob_trainer.models.xgb.rows import LabelledRows, Labels

if TYPE_CHECKING:
    from xgboost import XGBClassifier

Probabilities = NDArray[np.float32]

DECISION = 0.5
"""Rows above this probability count as predicted failures, as in ``XGBClassifier.predict``."""

SESSION_IDENTIFIERS = ("Starts_N", "Fuel_L")
"""Features that change between sessions of work, so that trees can identify a session by them."""

_MAXIMUM_ROWS_PERMUTED = 20_000
_RARE = 0.02
_SHARE_RESTING_ON_SESSIONS = 0.25


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
        "precision": precision_score(labels, predicted, zero_division=math.nan),
        "recall": recall_score(labels, predicted, zero_division=math.nan),
        "precision_at_threshold": precision_score(labels, alarms, zero_division=math.nan),
        "recall_at_threshold": recall_score(labels, alarms, zero_division=math.nan),
        "alarm_share_at_threshold": float(np.mean(alarms)) if len(alarms) else math.nan,
    }


def permutation_importance(classifier: "XGBClassifier", rows: LabelledRows, seed: int) -> dict[str, float]:
    """What permuting each feature costs in average precision, on at most 20,000 rows, evenly spaced.

    Returns:
        By feature; empty where the rows are all of one class.
    """
    count = len(rows.labels)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _MAXIMUM_ROWS_PERMUTED)).astype(np.intp))
    features, labels = rows.features.iloc[chosen], rows.labels[chosen]
    if len(np.unique(labels)) < 2:
        return {}
    found = inspection.permutation_importance(
        classifier, features, labels, scoring="average_precision", n_repeats=1, random_state=seed
    )
    return {str(name): float(cost) for name, cost in zip(features.columns, found.importances_mean, strict=True)}


def cautions(labels: Labels, importance: Mapping[str, float]) -> list[str]:
    """Warnings about the reliability of the test metrics, as complete sentences.

    Args:
        labels: Of the test part, shape (rows,).
        importance: What each feature is worth there.
    """
    sentences = []
    positives, rows = int(np.count_nonzero(labels)), len(labels)
    if 0 < positives <= _RARE * rows:
        sentences.append(
            f"Only {positives} of the {rows} test rows lie before a failure: precision and recall at 0.5 hang on a "
            "handful of them. Judge by average_precision and at the operating threshold."
        )
    worth = {name: max(cost, 0.0) for name, cost in importance.items()}
    of_sessions = {name: worth[name] for name in SESSION_IDENTIFIERS if worth.get(name)}
    share = sum(of_sessions.values()) / sum(worth.values()) if of_sessions else 0.0
    if share >= _SHARE_RESTING_ON_SESSIONS:
        sentences.append(
            f"{share:.0%} of the importance rests on {' and '.join(of_sessions)}: they tell one session of work from "
            "another, so the model may have learnt when the known failures were and not what precedes one. A view "
            "without them, named under data.table, shows what is left."
        )
    return sentences


def summary(auc: float | None, labels: Labels, failures: tuple[int, int]) -> str:
    """The model's quality in one line.

    Args:
        auc: Area under the ROC curve of the test part; None where it is undefined.
        labels: Of the test part, shape (rows,).
        failures: Number of distinct failures in the training and in the test part.
    """
    training, test = failures
    if auc is None:
        rows = "no" if not labels.any() else "every"
        return "AUC undefined: " + (f"{rows} test row before a failure" if test else "no failure in the test part")
    few = [
        f"{number} failure{'s' if number != 1 else ''} {where}"
        for number, where in ((test, "tested"), (training, "trained on"))
        if number < MINIMUM_FAILURES
    ]
    return ", ".join([f"AUC {auc:.2f}", *few])
