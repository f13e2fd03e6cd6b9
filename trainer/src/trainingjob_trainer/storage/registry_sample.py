"""A row like the one that a run will register, to try the registry with before anything is trained."""

from datetime import datetime, timedelta
from typing import Any

from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.storage.artifact_paths import Place
from trainingjob_trainer.storage.registry import ModelRow

_SIZE_BYTES = 4096
"""Metrics of real runs are 2.5 to 4 KB of JSON."""

_SHARE = 0.9
_COUNT = 1000
_SHARES = {
    "gru": (
        *("mae", "rmse", "r2", "r2_score", "mse", "skill", "final_train_loss", "final_val_loss"),
        *("health_score_mean_train", "health_score_mean_test", "health_score_std_train", "health_score_std_test"),
    ),
    "xgb": ("auc_score", "average_precision"),
}
_COUNTS = {
    "gru": ("train_size", "test_size", "sequence_length", "epochs_trained"),
    "xgb": ("train_size", "test_size", "failure_events_train", "failure_events_test"),
}


def sample_model(run: TrainingRun, place: Place, period: tuple[datetime, datetime] | None = None) -> ModelRow:
    """What the run would register if it ended now.

    Args:
        run: Gives every value that is known before it has trained.
        place: One that the run could publish to now.
        period: First and last instant of the data; None, while they are not loaded, is the run's window, or the last
            day where that is open.
    """
    end = min(run.window.end or place.timestamp, place.timestamp)
    start = min(run.window.start or end, end - timedelta(days=1))
    start, end = period or (start, end)
    return ModelRow(
        machine_name=run.spec.machine,
        model_type=run.spec.model.type,
        bucket_address=place.address,
        data_start_date=start,
        data_end_date=end,
        metrics=_metrics(run, place),
    )


def _metrics(run: TrainingRun, place: Place) -> dict[str, Any]:
    model_type = run.spec.model.type
    metrics: dict[str, Any] = {
        **dict.fromkeys(_SHARES[model_type], _SHARE),
        **dict.fromkeys(_COUNTS[model_type], _COUNT),
        "features_used": ["Oil_P", "Eng_RPM"],
        "run": {"namespace": run.namespace, "name": run.name, "uid": run.uid, "run": run.run},
    }
    if model_type == "gru":
        metrics["scaler_path"] = place.key("scaler", ".pkl")
    else:
        report = {"precision": _SHARE, "recall": _SHARE, "f1-score": _SHARE, "support": float(_COUNT)}
        metrics["best_params"] = {"n_estimators": 100, "max_depth": 4, "learning_rate": 0.1, "subsample": 1.0}
        metrics["classification_report"] = {"0": report, "1": report, "accuracy": _SHARE}
    return metrics | {"warnings": ["x" * (_SIZE_BYTES - len(str(metrics)))]}
