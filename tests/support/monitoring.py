"""The monitoring component: its alerts, and the queries of its dashboard."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from generate import operator_metric_names
from trainingjob_api.fleet_run import FLEET_MACHINES_METRIC
from trainingjob_api.progress import ProgressMetric

COMPONENT = Path(__file__).parents[2] / "manifests" / "components" / "monitoring"
_VARIABLES = {
    "$__rate_interval": "5s",
    "$__range": "1m",
    "$__interval_ms": "1000",
    "$__interval": "1s",
    "$namespace": ".*",
}


def rules() -> dict[str, Any]:
    """The groups of alerts, as a file of rules for Prometheus."""
    spec: dict[str, Any] = yaml.safe_load((COMPONENT / "alerts.yaml").read_text())["spec"]
    return spec


def alerts() -> list[dict[str, Any]]:
    """Every alert."""
    return [rule for group in rules()["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    """The dashboard."""
    content: dict[str, Any] = json.loads((COMPONENT / "dashboard.json").read_text())
    return content


def queries() -> Iterator[tuple[str, str]]:
    """Panel and PromQL of each query of the dashboard, with short times for its variables."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for variable, value in _VARIABLES.items():
                query = query.replace(variable, value)
            yield panel["title"], query


def metric_names() -> set[str]:
    """Every time series name that operator and trainer serve of their own."""
    return {*operator_metric_names(), *ProgressMetric, FLEET_MACHINES_METRIC}


def named_metrics(text: str) -> set[str]:
    """The metrics of this project that a text names."""
    return set(re.findall(r"\btrainingjob_\w+", text))
