"""Runs of fleets whose workers train many machines at once, as they do on a GPU."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cluster.processes import wait_until
from integration.trainer.fleets import Fleet, gru_fleet_spec
from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.factory import ModelFactory
from trainingjob_trainer.models.gru.model import GruModel
from trainingjob_trainer.models.reporter import Reporter

AT_ONCE = {"MACHINES_AT_ONCE": "8"}


@dataclass
class TogetherGruModel(GruModel):
    """Trains so many machines at once on a CPU, and remembers how many it got."""

    at_once: int
    fails: Exception | None = None
    batches: list[int] = field(default_factory=list)

    def machines_at_once(self, device: Device) -> int:
        """As on a GPU."""
        return self.at_once

    def train_many(
        self, machines: Sequence[tuple[HealthDataset, TrainingJobSpec]], reporter: Reporter, **named: Any
    ) -> list[TrainedModel | TrainingError]:
        """A machine of the name DIVERGES diverges."""
        self.batches.append(len(machines))
        if self.fails:
            raise self.fails
        diverged = TrainingError(Reason.DIVERGED, "The loss is not finite.")
        trained = super().train_many(machines, reporter, **named)
        return [
            diverged if spec.machine == "DIVERGES" else each for each, (_, spec) in zip(trained, machines, strict=True)
        ]


def use(model: TogetherGruModel, monkeypatch: pytest.MonkeyPatch) -> TogetherGruModel:
    monkeypatch.setattr(ModelFactory, "types", {**ModelFactory.types, "gru": model})
    return model


def test_machines_trained_at_once_are_registered_with_the_errors_of_single_trainings(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["PUMP-1", "PUMP-2", "PUMP-3", "PUMP-4"]
    fleet.add_machines([*names, "DIVERGES"], rows=1500)
    fleet.add_machines(["LONG"], rows=1700)
    fleet.add_machines(["SHORT"], rows=5)
    spec = gru_fleet_spec(fleet.bucket) | {"maxFailedPercent": 50}
    model = use(TogetherGruModel(4), monkeypatch)
    assert fleet.run_here(fleet_run(spec)).exit_code is ExitCode.DONE
    # DIVERGES, LONG and two others; the rest.
    assert model.batches == [4, 2]
    good = {*names, "LONG"}
    assert fleet.states() == dict.fromkeys(good, "registered") | {"DIVERGES": "failed", "SHORT": "failed"}
    assert fleet.registered() == dict.fromkeys(good, 1)
    assert fleet.rows("SELECT reason FROM fleet_machines WHERE machine = 'DIVERGES'") == [("Diverged",)]
    use(TogetherGruModel(1), monkeypatch)
    fleet.run_here(fleet_run(spec, run=2))
    found = fleet.rows(
        "SELECT array_agg((metrics->>'rmse')::float) FROM models WHERE machine_name <> 'DIVERGES' GROUP BY machine_name"
    )
    assert len(found) == len(good)
    for ((together, alone),) in found:
        assert together == pytest.approx(alone, rel=0.005)


def test_machines_are_trained_alone_after_an_unexpected_error_of_their_batch(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["PUMP-1", "PUMP-2", "PUMP-3"]
    fleet.add_machines(names, rows=300)
    model = use(TogetherGruModel(8, MemoryError("of the GPU")), monkeypatch)
    assert fleet.run_here(fleet_run(gru_fleet_spec(fleet.bucket))).exit_code is ExitCode.DONE
    assert model.batches == [3]
    assert fleet.states() == dict.fromkeys(names, "registered")
    assert fleet.rows("SELECT DISTINCT attempt FROM fleet_machines") == [(2,)]
    assert fleet.registered() == dict.fromkeys(names, 1)


def test_a_machine_that_kills_the_process_of_its_batch_costs_no_other_its_model(fleet: Fleet, tmp_path: Path) -> None:
    fleet.add_machines(["PUMP-1", "PUMP-1-POISON", "PUMP-2"], rows=300)
    run = fleet_run(gru_fleet_spec(fleet.bucket) | {"maxFailedPercent": 50})
    codes = []
    while (code := fleet.start_worker(run, tmp_path, POISON="PUMP-1-POISON", **AT_ONCE).wait()) == -signal.SIGKILL:
        codes.append(code)
    assert (code, len(codes)) == (ExitCode.DONE, 2), "the batch and the second attempt end a process each"
    assert fleet.states() == {"PUMP-1": "registered", "PUMP-1-POISON": "failed", "PUMP-2": "registered"}


def test_a_worker_that_is_asked_to_stop_gives_its_batch_back(fleet: Fleet, tmp_path: Path) -> None:
    names = ["PUMP-1", "PUMP-2", "PUMP-3"]
    fleet.add_machines(names, rows=300)
    run = fleet_run(gru_fleet_spec(fleet.bucket))
    worker = fleet.start_worker(run, tmp_path, HELD="PUMP-1", **AT_ONCE)
    wait_until(lambda: "training 3 machines at once" in fleet.log(tmp_path, 0), "the batch is trained")
    worker.send_signal(signal.SIGTERM)
    assert worker.wait() == ExitCode.STOPPED
    assert fleet.rows("SELECT state, attempt FROM fleet_machines") == [("waiting", 0)] * 3
