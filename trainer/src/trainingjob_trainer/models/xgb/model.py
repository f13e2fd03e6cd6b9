"""The xgb model: search, evaluation and saving of a classifier that predicts failures."""

import json
import pickle
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec, Xgb
from trainingjob_trainer.data.dataset import FailureDataset, ModelFile, Telemetry, TrainedModel
from trainingjob_trainer.data.failure_dataset import prepare_failure_dataset
from trainingjob_trainer.data.labels import distinct_failures
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.base import ContractName, ModelType
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.comparison import Comparison, RegisteredModel
from trainingjob_trainer.models.device import Device, refuse_silent_cpu
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.metrics import strict_json
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions
from trainingjob_trainer.models.xgb.rows import LabelledRows
from trainingjob_trainer.report.content import MetricsTable, ReportContent

if TYPE_CHECKING:
    from xgboost import XGBClassifier

    from trainingjob_trainer.models.xgb.search import SearchResult

LABEL = "failure_label"
_DEVICES = {"GPU": "cuda", "CPU": "cpu"}


def train_xgboost(
    dataset: FailureDataset,
    spec: TrainingJobSpec,
    reporter: Reporter,
    device: Device,
    checkpoints: Checkpoints | None = None,
    base: FleetBase | None = None,
) -> TrainedModel:
    """Search the settings on the training part, refit the best one on all of it, and evaluate it on the test part.

    Args:
        dataset: The data.
        spec: What to train; ``spec.model.xgb`` and ``spec.model.seed`` count here.
        reporter: Receives every booster of the search, and says whether to stop.
        device: What to compute on.
        checkpoints: Not used: a search that was stopped starts over.
        base: Not used: boosted trees have none.

    Raises:
        TrainingError: ``SingleClass`` when the training part has fewer rows of a class than folds, ``Suspended``
            when asked to stop, ``AcceleratorMissing`` when XGBoost cannot use the GPU that it was given.
    """
    # Imported here, because the other model types do not need these libraries.
    from xgboost import XGBClassifier

    from trainingjob_trainer.models.xgb.evaluation import (
        cautions,
        classification_metrics,
        operating_threshold,
        permutation_importance,
        summary,
    )
    from trainingjob_trainer.models.xgb.search import computes_on, search_settings

    refuse_silent_cpu(device, "XGBoost", computes_on(_DEVICES[device.used]))
    xgb, seed = spec.model.xgb, spec.model.seed
    training, test = _parts(dataset)
    positives = int(np.count_nonzero(training.labels))
    negatives = len(training.labels) - positives
    if min(positives, negatives) < xgb.folds:
        raise TrainingError(
            Reason.SINGLE_CLASS,
            f"machine {dataset.machine}: the training part has {positives} rows before a failure and {negatives} "
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
    classifier.get_booster().feature_names = list(dataset.features)
    # A reader may have no GPU, and as many threads as it likes.
    classifier.set_params(device="cpu", n_jobs=None)
    # ``n_jobs=None`` does not reach the booster, which would keep the number of threads of this machine.
    classifier.get_booster().set_param({"nthread": 0})
    reporter.heartbeat()

    threshold = operating_threshold(training.labels, found.out_of_fold, xgb.target_recall)
    probabilities = classifier.predict_proba(test.features)[:, 1]
    importance = permutation_importance(classifier, test, seed)
    failures = _failures(dataset, xgb)
    metrics = strict_json(
        {
            **classification_metrics(test.labels, probabilities, threshold),
            **_facts(dataset, training, test),
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


def save_model(classifier: "XGBClassifier", found: "SearchResult") -> list[ModelFile]:
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


def _parts(dataset: FailureDataset) -> tuple[LabelledRows, LabelledRows]:
    """The training rows whose labels do not depend on the test part, under plain names, and the test rows."""
    frame, test_start = dataset.frame, dataset.test_start
    training, test = frame.iloc[:test_start].loc[dataset.usable[:test_start]], frame.iloc[test_start:]
    features = list(dataset.features)
    inputs = training[features]
    # XGBoost refuses to train on names with [, ] or <, which a column of PostgreSQL may have.
    inputs.columns = [f"f{index}" for index in range(len(features))]
    return (
        LabelledRows(inputs, training[LABEL].to_numpy(np.int8)),
        LabelledRows(test[features], test[LABEL].to_numpy(np.int8)),
    )


def _failures(dataset: FailureDataset, xgb: Xgb) -> tuple[int, int]:
    """Number of distinct failures in the training and in the test part."""
    window = np.timedelta64(xgb.pre_failure_window_minutes, "m")
    return distinct_failures(dataset.timestamps, dataset.segments, dataset.events, dataset.test_start, window)


def _facts(dataset: FailureDataset, training: LabelledRows, test: LabelledRows) -> dict[str, Any]:
    return {
        "features_used": list(dataset.features),
        "train_size": len(training.labels),
        "test_size": len(test.labels),
        "positives_train": int(np.count_nonzero(training.labels)),
        "positives_test": int(np.count_nonzero(test.labels)),
        "failure_events_train": int(np.count_nonzero(dataset.events[: dataset.test_start])),
        "failure_events_test": int(np.count_nonzero(dataset.events[dataset.test_start :])),
    }


class XgbModel(ModelType[FailureDataset]):
    """The model type ``xgb``."""

    name = "xgb"
    trainer_revision = 2
    contract_names: ClassVar[Mapping[str, ContractName]] = {"model": ContractName("xgb_model_", ".pkl")}
    libraries = ("xgboost", "sklearn.inspection")
    train = staticmethod(train_xgboost)
    comparison_files = ("model-ubj",)

    def prepare(self, telemetry: Telemetry, spec: TrainingJobSpec) -> FailureDataset:
        """See ``ModelType``."""
        return prepare_failure_dataset(telemetry, spec.data, spec.model.xgb)

    def compare(
        self, dataset: FailureDataset, spec: TrainingJobSpec, trained: TrainedModel, registered: RegisteredModel
    ) -> Comparison:
        """By average precision: that of the new model minus that of the registered one."""
        from trainingjob_trainer.models.xgb.comparison import compare_xgb

        return compare_xgb(dataset, spec.model.xgb, trained, registered)

    def describe(self, dataset: FailureDataset, spec: TrainingJobSpec) -> Iterable[tuple[str, str]]:
        """The number of labelled rows in each part."""
        label, start = dataset.frame[LABEL].to_numpy() > 0, dataset.test_start
        for part, labels in (("training", label[:start][dataset.usable[:start]]), ("test", label[start:])):
            yield part, f"{np.count_nonzero(labels)} of {len(labels)} rows lie shortly before a failure"

    def report(self, dataset: FailureDataset, trained: TrainedModel) -> ReportContent:
        """Precision and recall, and the calibration."""
        from trainingjob_trainer.models.xgb.figures import figures

        headlines = {
            "test_size": "test rows",
            "failure_events_test": "failures in the test part",
            "failure_events_train": "failures in the training part",
            "average_precision": "average precision",
            "recall_at_threshold": "recall at the threshold",
            "precision_at_threshold": "precision at the threshold",
        }
        return ReportContent(headlines, figures=figures(trained))

    def result_table(self, metrics: Mapping[str, Any]) -> MetricsTable:
        """The metrics of ranking and alarms, and those of a random classifier."""
        prevalence = metrics.get("positives_test", 0) / (metrics.get("test_size") or 1)
        by_chance = {
            "auc_score": 0.5,
            "average_precision": prevalence,
            "recall_at_threshold": metrics.get("alarm_share_at_threshold"),
            "precision_at_threshold": prevalence,
        }
        return MetricsTable(
            "Test part, rows before a failure",
            ("this model", "by chance"),
            [(name, (metrics.get(name), chance)) for name, chance in by_chance.items()],
            ("operating threshold", metrics.get("operating_threshold")),
        )

    def sample_metrics(self) -> Mapping[str, Any]:
        """See ``ModelType``."""
        counts = ("train_size", "test_size", "failure_events_train", "failure_events_test")
        of_class = {"precision": 0.9, "recall": 0.9, "f1-score": 0.9, "support": 1000.0}
        return {
            **dict.fromkeys(("auc_score", "average_precision"), 0.9),
            **dict.fromkeys(counts, 1000),
            "best_params": {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1, "subsample": 1.0},
            "classification_report": {"0": of_class, "1": of_class, "accuracy": 0.9},
        }
