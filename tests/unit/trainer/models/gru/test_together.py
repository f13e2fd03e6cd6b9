"""Machines that train at once end with the errors of single trainings, and do not disturb each other."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.telemetry import sensors, telemetry
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.data.windows import Sequences, Windows
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.gru.chunks import TrainingData
from trainingjob_trainer.models.gru.model import GruModel, train_gru
from trainingjob_trainer.models.gru.schedule import Schedule
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.reporter import SilentReporter

MODEL = GruModel()
CPU = Device("CPU", 1)


def spec(**changes: object) -> TrainingJobSpec:
    small = {"sequenceLength": 8, "units": [4, 3], "epochs": 4, "stepsPerEpoch": 30, "validationFraction": 0.2}
    model = {"type": "gru", "gru": small | changes, "seed": 7}
    return TrainingJobSpec.model_validate({"machine": "ANY", "model": model, "data": {"minRows": 100}})


def machine(number: int, rows: int = 500, **others: np.ndarray[Any, Any]) -> HealthDataset:
    slow = {name: np.cumsum(values - values.mean()) / 5 + values for name, values in sensors(rows, number).items()}
    return MODEL.prepare(replace(telemetry(slow | others), machine=f"PUMP-{number}"), spec())


def together(
    machines: list[tuple[HealthDataset, TrainingJobSpec]], base: FleetBase | None = None
) -> list[TrainedModel | TrainingError]:
    return MODEL.train_many(machines, SilentReporter(), device=CPU, base=base)


def assert_equal_errors(many: TrainedModel | TrainingError, single: TrainedModel) -> None:
    assert isinstance(many, TrainedModel)
    assert many.metrics["rmse"] == pytest.approx(single.metrics["rmse"], rel=0.005)
    assert many.metrics["best_epoch"] == single.metrics["best_epoch"]
    assert set(many.metrics) == set(single.metrics)
    assert many.report["history"]["loss"] == pytest.approx(single.report["history"]["loss"], rel=0.01)


def test_machines_of_other_lengths_features_and_schedules_have_the_errors_of_single_trainings() -> None:
    oil = np.cumsum(np.random.default_rng(5).normal(size=400))
    machines = [
        (machine(1), spec()),
        (machine(2, 350), spec()),
        (machine(3, 400, Oil_T=oil), spec()),
        (machine(4), spec(epochs=2, stepsPerEpoch=17)),
        (machine(6), spec(output="Direct")),
    ]
    for many, (dataset, wanted) in zip(together(machines), machines, strict=True):
        assert_equal_errors(many, train_gru(dataset, wanted, SilentReporter()))


def test_a_machine_without_windows_leaves_the_others_alone() -> None:
    good = machine(1)
    short = replace(good, segments=np.arange(len(good.frame), dtype=np.int32))
    insufficient, first = together([(short, spec()), (good, spec())])
    (alone,) = together([(good, spec())])
    assert isinstance(insufficient, TrainingError)
    assert insufficient.reason == "InsufficientData"
    assert isinstance(first, TrainedModel)
    assert isinstance(alone, TrainedModel)
    assert first.metrics["rmse"] == pytest.approx(alone.metrics["rmse"], rel=1e-4)


def test_a_machine_that_diverges_leaves_the_others_alone(sequences: Sequences) -> None:
    from trainingjob_trainer.models.gru.lockstep import Result, Task, fit_together
    from trainingjob_trainer.models.gru.network import Shape, initial_weights
    from trainingjob_trainer.models.gru.validation import validation_on_chunks

    shape, target = Shape(8, 5, (4, 3), 0.2), standardise(sequences.training, None)
    validation = validation_on_chunks(sequences.validation, target, None, 8, 2)
    schedule = Schedule(3, 2, 1e-3, start_from_epoch=1, stop_patience=9, learning_rate_patience=9, seed=7)

    def task(windows: Windows) -> Task:
        data = TrainingData(windows, target, 8, 2, validation.loss)
        return Task(data, validation, schedule, initial_weights(shape, 7), lambda _: (lambda e: float(e.mean()), 9.9))

    broken = replace(sequences.training, inputs=sequences.training.inputs * np.nan)
    diverged, first = fit_together(shape, [task(broken), task(sequences.training)], SilentReporter())
    (alone,) = fit_together(shape, [task(sequences.training)], SilentReporter())
    assert isinstance(diverged, TrainingError)
    assert diverged.reason == "Diverged"
    assert isinstance(first, Result)
    assert isinstance(alone, Result)
    assert first.state.losses == pytest.approx(alone.state.losses, rel=1e-5)
    assert all(np.isfinite(array).all() for array in first.weights)


def test_a_machine_that_ends_early_keeps_its_best_weights_while_the_others_go_on() -> None:
    early = spec(learningRate=0.1, epochs=8, earlyStoppingPatience=1)
    machines = [(machine(1), early), (machine(2), spec(epochs=8)), (machine(3), spec(epochs=8))]
    ended, *_ = found = together(machines)
    for many, (dataset, wanted) in zip(found, machines, strict=True):
        assert_equal_errors(many, train_gru(dataset, wanted, SilentReporter()))
    assert isinstance(ended, TrainedModel)
    assert ended.metrics["epochs_trained"] < 8


def test_the_base_is_the_start_and_the_same_candidates_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trainingjob_trainer.models.gru.schedule.MINIMUM_BASE_STEPS", 20)
    monkeypatch.setattr("trainingjob_trainer.models.gru.from_base.MINIMUM_TARGETS_OF_OWN", 60)
    datasets = [machine(number) for number in range(1, 6)]
    boundary = datasets[0].timestamps[datasets[0].test_start]
    parts = [
        (each.machine, MODEL.prepare_for_base(telemetry(sensors(500, number)), spec(), boundary))
        for number, each in enumerate(datasets)
    ]
    base = MODEL.train_base(parts, spec(), boundary, SilentReporter(), device=CPU)
    assert base is not None
    machines = [(each, spec()) for each in (*datasets, machine(6, 250))]
    kept = []
    for many, (dataset, wanted) in zip(together(machines, base), machines, strict=True):
        single = train_gru(dataset, wanted, SilentReporter(), base=base)
        assert_equal_errors(many, single)
        assert isinstance(many, TrainedModel)
        assert many.metrics["base"] == single.metrics["base"]
        kept.append(many.metrics["base"]["kept"])
    assert "base" in kept


def test_many_machines_are_trained_at_once_on_a_gpu_only() -> None:
    assert MODEL.machines_at_once(CPU) == 1
    assert MODEL.machines_at_once(Device("GPU", 1)) > 1


def test_a_request_to_stop_ends_all_of_them() -> None:
    class Stopping(SilentReporter):
        def should_stop(self) -> bool:
            return True

    with pytest.raises(TrainingError) as caught:
        MODEL.train_many([(machine(1), spec())], Stopping(), device=CPU)
    assert caught.value.reason == "Suspended"
