"""The metrics of a gru model: those that readers expect, and those of baselines to compare with."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthDataset
from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.metrics import regression_metrics, skill

MINIMUM_TEST_WINDOWS = 100
"""Number of test windows below which a score may be chance: neighbouring windows share all rows except one."""


def test_metrics(dataset: HealthDataset, sequences: Sequences, predicted: Floats, ridge: Floats) -> dict[str, Any]:
    """Metrics of the test part for the model, persistence, the training mean and ridge regression.

    Args:
        dataset: The data; says which rows were running.
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
    running = dataset.running[test.target_rows]
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


def health_metrics(dataset: HealthDataset) -> dict[str, Any]:
    """The definition of the health score, and its distribution in the two parts."""
    score = dataset.frame["health_score"].to_numpy()
    parts = {"train": score[: dataset.test_start], "test": score[dataset.test_start :]}
    metrics: dict[str, Any] = {"features_used": list(dataset.features)}
    for name, values in parts.items():
        metrics[f"health_score_mean_{name}"] = float(np.nanmean(values, dtype=np.float64))
        metrics[f"health_score_std_{name}"] = float(np.nanstd(values, dtype=np.float64))
    metrics["health_ranges"] = {name: list(limits) for name, limits in dataset.health.ranges.items()}
    metrics["health_neutral"] = list(dataset.health.neutral)
    return metrics


def cautions(metrics: Mapping[str, Any]) -> list[str]:
    """Warnings about the quality of the model or the reliability of its metrics, as complete sentences."""
    sentences = []
    if metrics["test_size"] < MINIMUM_TEST_WINDOWS:
        sentences.append(
            f"The model cannot be judged: the test part has {metrics['test_size']} windows, where at least "
            f"{MINIMUM_TEST_WINDOWS} are wanted. Train on a longer period, or raise data.testFraction."
        )
    if metrics["rmse"] > metrics["rmse_mean"]:
        sentences.append(
            f"The model is worse than a constant on the test part: its RMSE is {metrics['rmse']:.3g}, that of the "
            f"training mean {metrics['rmse_mean']:.3g}."
        )
    elif metrics["r2"] < 0:
        sentences.append(f"R2 is {metrics['r2']:.2f}: the model is worse than the mean score of the test part.")
    return sentences


def summary(metrics: Mapping[str, Any]) -> str:
    """The model's quality in one line: skill, and any problem."""
    parts = [f"skill {metrics['skill']:.2f}" if math.isfinite(metrics["skill"]) else "skill unknown"]
    if metrics["r2"] < 0:
        parts.append(f"R2 {metrics['r2']:.2f}")
    if metrics["test_size"] < MINIMUM_TEST_WINDOWS:
        parts.append(f"{metrics['test_size']} windows")
    return ", ".join(parts)
