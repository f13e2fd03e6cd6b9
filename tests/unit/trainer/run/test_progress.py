"""Progress of a run: its ratio, the metrics endpoint, and the end of a run that hangs."""

import math
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cluster.processes import free_ports
from trainingjob_api.progress import Stage
from trainingjob_trainer.run.exporter import MetricsEndpoint
from trainingjob_trainer.run.progress import Progress, RunProgress


def test_progress_only_grows_from_stage_to_stage_and_epoch_to_epoch() -> None:
    seen: list[Progress] = []
    progress = RunProgress([seen.append])
    for stage in Stage:
        progress.stage(stage)
        if stage is Stage.TRAINING:
            for epoch in range(1, 5):
                progress.epoch(epoch, 4, loss=0.1 / epoch)
    ratios = [each.ratio for each in seen]
    assert ratios == sorted(ratios)
    assert 0 == ratios[0] < ratios[-1] < 1
    assert next(each.loss for each in seen if each.epoch == 2) == pytest.approx(0.05)


def test_each_stage_that_has_ended_has_a_duration() -> None:
    progress = RunProgress()
    progress.stage(Stage.STARTING)
    assert progress.now.durations == {}
    for stage in (Stage.LOADING, Stage.LOADING, Stage.PREPARING):
        progress.stage(stage)
    assert list(progress.now.durations) == [Stage.STARTING, Stage.LOADING]
    assert all(seconds >= 0 for seconds in progress.now.durations.values())


def scraped(port: int) -> dict[str, float]:
    """The value of every sample by name, or by stage."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as response:
        families = text_string_to_metric_families(response.read().decode())
        return {
            sample.labels.get("trainingjob_stage", sample.name): sample.value
            for family in families
            for sample in family.samples
        }


def test_the_endpoint_shows_stage_epochs_and_losses_and_nothing_that_is_unknown() -> None:
    (port,) = free_ports(1)
    progress = RunProgress([MetricsEndpoint(port)])
    progress.stage(Stage.STARTING)
    before = scraped(port)
    assert {stage: before[stage] for stage in Stage} == {stage: float(stage is Stage.STARTING) for stage in Stage}
    unknown = ("trainingjob_epoch", "trainingjob_epochs", "trainingjob_loss", "trainingjob_validation_loss")
    assert all(math.isnan(before[name]) for name in unknown)
    progress.stage(Stage.TRAINING)
    progress.epoch(3, 10, loss=0.25)
    after = scraped(port)
    assert (after["Starting"], after["Training"]) == (0, 1)
    assert (after["trainingjob_epoch"], after["trainingjob_epochs"], after["trainingjob_loss"]) == (3, 10, 0.25)
    assert math.isnan(after["trainingjob_validation_loss"])
    assert after["trainingjob_progress_ratio"] == pytest.approx(progress.now.ratio)
    assert after["trainingjob_last_advance_timestamp_seconds"] > before["trainingjob_last_advance_timestamp_seconds"]


HANGS = """
import sys, threading
from pathlib import Path
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.run.watchdog import Watchdog
watch = Watchdog(0.2, lambda: Path(sys.argv[1]).write_text("stalled"))
progress = RunProgress([watch])
with watch:
    {what}
"""


def test_a_run_without_progress_ends_and_logs_every_stack(tmp_path: Path) -> None:
    program = HANGS.format(what="threading.Event().wait()")
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "told"], capture_output=True, check=False)
    assert done.returncode == 1
    assert (tmp_path / "told").read_text() == "stalled"
    assert b"threading.py" in done.stderr


def test_the_watchdog_does_not_end_a_run_that_ends_in_time(tmp_path: Path) -> None:
    program = HANGS.format(what="progress.heartbeat()")
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "told"], capture_output=True, check=False)
    assert done.returncode == 0
    assert not (tmp_path / "told").exists()
