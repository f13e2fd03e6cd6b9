"""The xgb model: how a classifier that says whether a failure is near is searched, judged and saved."""

import json
import pickle
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xgboost import XGBClassifier

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec, Xgb
from trainingjob_trainer.data.dataset import ModelFile, Prepared, TrainedModel
from trainingjob_trainer.data.labels import distinct_failures
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device, refuse_silent_cpu
from trainingjob_trainer.models.metrics import strict_json
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions
from trainingjob_trainer.models.xgb.evaluation import (
    cautions,
    classification_metrics,
    operating_threshold,
    permutation_importance,
    summary,
)
from trainingjob_trainer.models.xgb.search import LabelledRows, SearchResult, computes_on, search_settings

LABEL = "failure_label"
_DEVICES = {"GPU": "cuda", "CPU": "cpu"}


def train_xgboost(prepared: Prepared, spec: TrainingJobSpec, reporter: Reporter, device: Device) -> TrainedModel:
    """Search the settings on the training part, refit the best on all of it, and judge it on the test part.

    Args:
        prepared: Data prepared for an xgb.
        spec: What to train; ``spec.model.xgb`` and ``spec.model.seed`` count here.
        reporter: Told of every booster of the search, and asked whether to stop.
        device: What to compute on.

    Raises:
        TrainingError: ``SingleClass`` when the training part has fewer rows of a class than folds, ``Suspended``
            when asked to stop, ``AcceleratorMissing`` when XGBoost cannot use the GPU that it was given.
    """
    refuse_silent_cpu(device, "XGBoost", computes_on(_DEVICES[device.used]))
    xgb, seed = spec.model.xgb, spec.model.seed
    training, test = _parts(prepared)
    positives = int(np.count_nonzero(training.labels))
    negatives = len(training.labels) - positives
    if min(positives, negatives) < xgb.folds:
        raise TrainingError(
            Reason.SINGLE_CLASS,
            f"machine {prepared.machine}: the training part has {positives} rows before a failure and {negatives} "
            f"others; a search on {xgb.folds} folds needs {xgb.folds} of each. Train on a longer period with failures.",
        )
    fixed: dict[str, Any] = {
        "objective": "binary:logistic",
        "scale_pos_weight": negatives / positives,
        "device": _DEVICES[device.used],
    }
    found = search_settings(training, xgb, {**fixed, "seed": seed}, device.threads, reporter)
    classifier = XGBClassifier(**fixed, **found.best, random_state=seed, n_jobs=device.threads)
    classifier.fit(training.features, training.labels)
    # Readers ask the classifier for the names of its features.
    classifier.get_booster().feature_names = list(prepared.features)
    # A reader may have no GPU, and as many threads as it likes.
    classifier.set_params(device="cpu", n_jobs=None)
    reporter.advanced()

    threshold = operating_threshold(training.labels, found.out_of_fold, xgb.target_recall)
    probabilities = classifier.predict_proba(test.features)[:, 1]
    importance = permutation_importance(
        lambda features: classifier.predict_proba(features)[:, 1], test.features, test.labels, seed
    )
    failures = _failures(prepared, xgb)
    metrics = strict_json(
        {
            **classification_metrics(test.labels, probabilities, threshold),
            **_facts(prepared, training, test),
            "best_params": dict(found.best),
            "best_score": float(np.average(found.scores, axis=1).max()),
            "scoring": xgb.search.scoring,
            "scale_pos_weight": fixed["scale_pos_weight"],
            "operating_threshold": threshold,
            "target_recall": xgb.target_recall,
            "distinct_failures_train": failures[0],
            "distinct_failures_test": failures[1],
            "notes": cautions(test.labels, importance),
            "versions": versions(("pandas", "xgboost")),
        }
    )
    report = {
        "label": test.labels,
        "probability": probabilities,
        "threshold": threshold,
        "importance": importance,
        "importance_unit": "average precision",
    }
    line = summary(metrics["auc_score"], test.labels, failures)
    return TrainedModel(save_model(classifier, found), metrics, line, report)


def save_model(classifier: XGBClassifier, found: SearchResult) -> list[ModelFile]:
    """The classifier pickled, as readers want it, as UBJSON that is safe to read, and the scores of the search."""
    table = [
        {"params": dict(setting), "scores": scores.tolist()}
        for setting, scores in zip(found.settings, found.scores, strict=True)
    ]
    return [
        ModelFile("model", ".pkl", pickle.dumps(classifier, protocol=4)),
        ModelFile("model-ubj", ".ubj", bytes(classifier.get_booster().save_raw("ubj"))),
        ModelFile("search-json", ".json", json.dumps(table, indent=2, allow_nan=False).encode()),
    ]


def _parts(prepared: Prepared) -> tuple[LabelledRows, LabelledRows]:
    """The training rows whose labels do not look into the test part, under plain names, and the test rows."""
    frame, border = prepared.frame, prepared.border
    training, test = frame.iloc[:border].loc[prepared.usable[:border]], frame.iloc[border:]
    features = list(prepared.features)
    inputs = training[features]
    # XGBoost refuses to train on names with [, ] or <, which a column of PostgreSQL may have.
    inputs.columns = [f"f{index}" for index in range(len(features))]
    return (
        LabelledRows(inputs, training[LABEL].to_numpy(np.int8)),
        LabelledRows(test[features], test[LABEL].to_numpy(np.int8)),
    )


def _events(prepared: Prepared) -> NDArray[np.bool_]:
    return prepared.events if prepared.events is not None else np.zeros(len(prepared.frame), np.bool_)


def _failures(prepared: Prepared, xgb: Xgb) -> tuple[int, int]:
    """Number of distinct failures in the training and in the test part."""
    window = np.timedelta64(xgb.pre_failure_window_minutes, "m")
    return distinct_failures(prepared.timestamps, prepared.segments, _events(prepared), prepared.border, window)


def _facts(prepared: Prepared, training: LabelledRows, test: LabelledRows) -> dict[str, Any]:
    events = _events(prepared)
    return {
        "features_used": list(prepared.features),
        "train_size": len(training.labels),
        "test_size": len(test.labels),
        "positives_train": int(np.count_nonzero(training.labels)),
        "positives_test": int(np.count_nonzero(test.labels)),
        "failure_events_train": int(np.count_nonzero(events[: prepared.border])),
        "failure_events_test": int(np.count_nonzero(events[prepared.border :])),
    }
