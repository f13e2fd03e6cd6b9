"""Parsing of a trainer's metrics."""

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Enum, Gauge, generate_latest

from trainingjob_api.fleet_run import FLEET_MACHINES_METRIC
from trainingjob_api.progress import ProgressMetric, Stage
from trainingjob_operator.controller.progress import parse

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def told(stage: str = "Training", **gauges: float) -> str:
    registry = CollectorRegistry()
    Enum(ProgressMetric.STAGE, "Stage", states=list(Stage), registry=registry).state(stage)
    for name, value in gauges.items():
        Gauge(f"trainingjob_{name}", "x", registry=registry).set(value)
    return generate_latest(registry).decode()


def test_stage_epochs_and_losses_are_read() -> None:
    progress = parse(told(progress_ratio=0.42, epoch=42, epochs=100, loss=0.5, validation_loss=0.6), "pod-1", NOW)
    assert (progress.pod, progress.time, progress.stage) == ("pod-1", NOW, "Training")
    assert (progress.ratio, progress.epoch, progress.epochs) == (0.42, 42, 100)
    assert (progress.loss, progress.validation_loss) == (0.5, 0.6)


@given(st.floats(), st.floats(), st.floats())
def test_invalid_values_are_left_out(ratio: float, epoch: float, loss: float) -> None:
    progress = parse(told(progress_ratio=ratio, epoch=epoch, loss=loss), "pod-1", NOW)
    assert progress.ratio is None or 0 <= progress.ratio <= 1
    assert progress.epoch is None or 0 <= progress.epoch < 2**31
    assert progress.loss is None or abs(progress.loss) < float("inf")


def test_the_machines_of_a_fleet_are_read_by_state() -> None:
    registry = CollectorRegistry()
    gauge = Gauge(FLEET_MACHINES_METRIC, "x", ["state"], registry=registry)
    for state, count in {"selected": 300, "registered": 7, "unheard-of": 1, "failed": float("nan")}.items():
        gauge.labels(state).set(count)
    progress = parse(generate_latest(registry).decode(), "pod-1", NOW)
    assert progress.machines == {"selected": 300, "registered": 7}


def test_a_worker_that_knows_no_machine_yet_reports_no_counts() -> None:
    registry = CollectorRegistry()
    Gauge(FLEET_MACHINES_METRIC, "x", ["state"], registry=registry).labels("selected").set(0)
    assert parse(generate_latest(registry).decode(), "pod-1", NOW).machines is None


def test_the_metrics_of_another_program_give_no_progress() -> None:
    progress = parse("# TYPE up gauge\nup 1\n", "pod-1", NOW)
    assert (progress.stage, progress.ratio, progress.epoch) == (None, None, None)


def test_a_text_that_is_not_metrics_is_rejected() -> None:
    with pytest.raises(ValueError):
        parse("<html>{not metrics</html> x y z", "pod-1", NOW)


@given(st.lists(st.sampled_from(["trainingjob_epoch", *'{}="\\\n #,1é\0', "NaN", "# TYPE", " gauge"]), max_size=25))
def test_any_response_of_a_pod_is_parsed_or_rejected(parts: list[str]) -> None:
    with contextlib.suppress(ValueError):
        parse("".join(parts), "pod-1", NOW)
