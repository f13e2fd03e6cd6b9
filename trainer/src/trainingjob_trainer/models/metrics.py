"""Regression metrics, and their conversion to strict JSON."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from trainingjob_trainer.data.arrays import Floats


def regression_metrics(actual: Floats, predicted: Floats) -> dict[str, float]:
    """MAE, RMSE, MSE and R2 of predictions.

    Args:
        actual: Shape (n,).
        predicted: Shape (n,).

    Returns:
        By name; NaN without any row or with a prediction that is not finite, and an R2 of NaN where all actual values
        are equal.
    """
    if actual.size == 0 or not np.isfinite(predicted).all():
        return dict.fromkeys(("mae", "rmse", "mse", "r2"), math.nan)
    # scikit-learn sums in the type that it is given.
    actual, predicted = actual.astype(np.float64), predicted.astype(np.float64)
    mse = float(mean_squared_error(actual, predicted))
    r2 = float(r2_score(actual, predicted)) if np.ptp(actual) > 0 else math.nan
    return {"mae": float(mean_absolute_error(actual, predicted)), "rmse": math.sqrt(mse), "mse": mse, "r2": r2}


def skill(rmse: float, baseline: float) -> float:
    """1 - RMSE / RMSE of a baseline; NaN when the baseline's RMSE is 0."""
    return 1 - rmse / baseline if baseline > 0 else math.nan


def strict_json(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Replaces non-finite numbers by None and names them in one sentence of ``notes``.

    Args:
        metrics: Metrics by name, nested mappings and sequences allowed.

    Returns:
        The same metrics, fit for strict JSON; ``notes`` is there only when something was replaced.
    """
    replaced: list[str] = []

    def strict(path: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {str(name): strict(f"{path}.{name}" if path else str(name), item) for name, item in value.items()}
        if isinstance(value, list | tuple | np.ndarray):
            return [strict(f"{path}[{index}]", item) for index, item in enumerate(value)]
        plain = value.item() if isinstance(value, np.generic) else value
        if isinstance(plain, float) and not math.isfinite(plain):
            replaced.append(path)
            return None
        return plain

    result: dict[str, Any] = strict("", metrics)
    if replaced:
        result["notes"] = [*result.get("notes", []), f"Without a finite value on this data: {', '.join(replaced)}."]
    return result
