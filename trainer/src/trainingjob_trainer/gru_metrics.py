"""The metrics of a gru model: what the contract with readers asks for, and what it takes to judge them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.evaluate import regression_metrics, skill
from trainingjob_trainer.prepared import Prepared
from trainingjob_trainer.windows import Sequences

Floats = NDArray[np.float32]


def test_metrics(prepared: Prepared, sequences: Sequences, predicted: Floats, ridge: Floats) -> dict[str, Any]:
    """How good predictions of the test part are, beside persistence, the training mean and ridge regression.

    Args:
        prepared: The data; says which rows were running.
        sequences: The windows.
        predicted: Prediction for each test window.
        ridge: That of ridge regression.

    Returns:
        Metrics by name; those of a baseline end with its name. Not a finite number where the data allow none.
    """
    test = sequences.test
    mean = np.mean(np.concatenate([sequences.training.target, sequences.validation.target]), dtype=np.float64)
    constant = np.full(len(test), mean, np.float32)
    baselines: dict[str, Floats] = {"persistence": test.last_score, "mean": constant, "ridge": ridge}
    metrics: dict[str, Any] = regression_metrics(test.target, predicted)
    for name, baseline in baselines.items():
        metrics |= {f"{key}_{name}": value for key, value in regression_metrics(test.target, baseline).items()}
    running = prepared.running[test.target_rows]
    rmse_running = regression_metrics(test.target[running], predicted[running])["rmse"]
    persistence_running = regression_metrics(test.target[running], test.last_score[running])["rmse"]
    return metrics | {
        "r2_score": metrics["r2"],
        "skill": skill(metrics["rmse"], metrics["rmse_persistence"]),
        "skill_ridge": skill(metrics["rmse"], metrics["rmse_ridge"]),
        "rmse_running": rmse_running,
        "rmse_persistence_running": persistence_running,
        "skill_running": skill(rmse_running, persistence_running),
        "train_size": len(sequences.training) + len(sequences.validation),
        "validation_size": len(sequences.validation),
        "test_size": len(test),
        "test_size_running": int(np.count_nonzero(running)),
        "windows_dropped": sequences.dropped,
    }


def health_metrics(prepared: Prepared) -> dict[str, Any]:
    """What the health score is in this model, and how it is distributed in the two parts."""
    score = prepared.frame["health_score"].to_numpy()
    parts = {"train": score[: prepared.border], "test": score[prepared.border :]}
    metrics: dict[str, Any] = {"features_used": list(prepared.features)}
    for name, values in parts.items():
        metrics[f"health_score_mean_{name}"] = float(np.nanmean(values, dtype=np.float64))
        metrics[f"health_score_std_{name}"] = float(np.nanstd(values, dtype=np.float64))
    if prepared.health is not None:
        metrics["health_ranges"] = {name: list(limits) for name, limits in prepared.health.ranges.items()}
        metrics["health_neutral"] = list(prepared.health.neutral)
    return metrics
