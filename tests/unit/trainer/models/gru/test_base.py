"""A base learns from all machines of a fleet before the boundary, and each machine's training starts from it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from support.telemetry import sensors, telemetry
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Telemetry, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import DESCRIPTION, FleetBase, fleet_boundary, restored_base
from trainingjob_trainer.models.gru.model import GruModel, train_gru
from trainingjob_trainer.models.reporter import SilentReporter

ROWS, TEST_START, VALIDATION_START = 500, 400, 320
MODEL = GruModel()


def spec(**changes: object) -> TrainingJobSpec:
    small = {"sequenceLength": 8, "units": [4, 3], "epochs": 2, "stepsPerEpoch": 3, "validationFraction": 0.2}
    model = {"type": "gru", "gru": small | changes, "seed": 7}
    return TrainingJobSpec.model_validate({"machine": "ANY", "model": model, "data": {"minRows": 100}})


def machine(number: int, **others: np.ndarray[Any, Any]) -> Telemetry:
    """Each machine has its own fingerprint, and sensors that vary slowly."""
    slow = {name: np.cumsum(values - values.mean()) / 5 + values for name, values in sensors(ROWS, number).items()}
    return replace(telemetry(slow | others), machine=f"PUMP-{number}", fingerprint=f"{number:064x}")


FLEET = tuple(machine(number) for number in range(5))
BOUNDARY = FLEET[0].timestamps[TEST_START]


@pytest.fixture(scope="module", autouse=True)
def _few_steps() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("EPOCHS", "MINIMUM_BASE_STEPS", "MAXIMUM_BASE_STEPS", "FROM_BASE_EPOCHS", "FROM_BASE_STEPS"):
            monkeypatch.setattr(f"trainingjob_trainer.models.gru.schedule.{name}", 3)
        yield


def base_of(
    fleet: tuple[Telemetry, ...] = FLEET, wanted: TrainingJobSpec | None = None, boundary: np.datetime64 = BOUNDARY
) -> FleetBase | None:
    wanted = wanted or spec()
    datasets = ((each.machine, MODEL.prepare_for_base(each, wanted, boundary)) for each in fleet)
    return MODEL.train_base(datasets, wanted, boundary, SilentReporter(), device=Device("CPU", 1))


@pytest.fixture(scope="module")
def base() -> FleetBase:
    found = base_of()
    assert found is not None
    return found


def trained_from(base: FleetBase | None, each: Telemetry, wanted: TrainingJobSpec | None = None) -> TrainedModel:
    wanted = wanted or spec()
    return train_gru(MODEL.prepare(each, wanted), wanted, SilentReporter(), base=base)


def content(trained: TrainedModel, role: str) -> bytes:
    return next(file.content for file in trained.files if file.role == role)


def from_row(row: int, values: Telemetry) -> Telemetry:
    """Other readings in this row and all later ones."""
    changed = values.values.copy()
    random = np.random.default_rng(9)
    changed.iloc[row:] = random.uniform(-5e3, 5e3, (len(changed) - row, changed.shape[1])).astype(np.float32)
    return replace(values, values=changed)


def test_equal_input_gives_equal_bits_in_any_order_of_machines(base: FleetBase) -> None:
    again = base_of(tuple(reversed(FLEET)))
    assert again is not None
    assert again.fingerprint == base.fingerprint
    assert [file.content for file in again.files] == [file.content for file in base.files]


def test_the_fingerprint_depends_on_data_spec_and_boundary(base: FleetBase) -> None:
    others = (
        base_of((*FLEET[:4], replace(FLEET[4], fingerprint="e" * 64))),
        base_of(FLEET[:4]),
        base_of(wanted=spec(dropout=0.3)),
        base_of(boundary=BOUNDARY - np.timedelta64(10, "s")),
    )
    fingerprints = {other.fingerprint for other in others if other} | {base.fingerprint}
    assert len(fingerprints) == 1 + len(others)


@pytest.mark.parametrize("first_changed", [TEST_START, VALIDATION_START], ids=["after the boundary", "after its part"])
def test_no_value_that_a_base_must_not_see_changes_it(base: FleetBase, first_changed: int) -> None:
    changed = base_of(tuple(from_row(first_changed, each) for each in FLEET))
    assert changed is not None
    assert changed.file("base") == base.file("base")


def test_no_value_after_an_early_boundary_changes_the_base() -> None:
    early = FLEET[0].timestamps[250]
    found, changed = (base_of(fleet, boundary=early) for fleet in (FLEET, tuple(from_row(250, each) for each in FLEET)))
    assert found is not None
    assert changed is not None
    assert changed.file("base") == found.file("base")
    assert found.file("base") != base_of().file("base")  # type: ignore[union-attr]


def test_no_value_of_the_test_part_changes_a_model_from_the_base(base: FleetBase) -> None:
    trained, changed = (trained_from(base, each) for each in (FLEET[0], from_row(TEST_START, FLEET[0])))
    for role in ("model", "scaler", "scaler-json"):
        assert content(changed, role) == content(trained, role)
    for name in ("base", "network_share", "best_epoch", "best_val_loss"):
        assert changed.metrics[name] == trained.metrics[name]
    assert changed.metrics["rmse"] != trained.metrics["rmse"]


def test_a_model_from_the_base_is_evaluated_after_the_boundary_only(base: FleetBase) -> None:
    boundary = BOUNDARY + np.timedelta64(500, "s")
    trained = trained_from(replace(base, boundary=boundary), FLEET[0])
    assert trained.report["test_timestamps"][0] == boundary
    assert trained.metrics["test_size"] == len(trained.report["test_timestamps"]) == 50
    assert trained.metrics["base"]["fingerprint"] == base.fingerprint
    assert trained.metrics["base"]["kept"] != "own"


@pytest.mark.parametrize(
    ("changes", "wanted", "reason"),
    [
        ({"boundary": BOUNDARY + np.timedelta64(1, "D")}, spec(), "no row of its test part is at or after 2025-01-02"),
        ({}, spec(units=[4, 4]), "another sequenceLength, units, dropout or output"),
        (
            {},
            spec(features=["Oil_P", "Oil_L", "Recalque", "Succao"]),
            "it has the features Oil_P, Oil_L, Recalque, Succ",
        ),
    ],
    ids=["no row to judge on", "other settings", "other features"],
)
def test_a_machine_that_the_base_does_not_suit_is_trained_on_its_own(
    base: FleetBase, changes: Mapping[str, Any], wanted: TrainingJobSpec, reason: str
) -> None:
    trained = trained_from(replace(base, **changes), FLEET[0], wanted)
    alone = trained_from(None, FLEET[0], wanted)
    assert content(trained, "model") == content(alone, "model")
    assert trained.metrics["rmse"] == alone.metrics["rmse"]
    assert trained.metrics["base"]["kept"] in {"own", "ridge"}
    assert reason in trained.metrics["notes"][0]


def test_three_machines_have_no_base() -> None:
    assert base_of(FLEET[:3]) is None


def test_the_base_is_of_the_most_common_features() -> None:
    others = tuple(machine(number, Oil_T=np.arange(ROWS) % 7.0) for number in range(6, 9))
    found = base_of((*others, *FLEET))
    assert found is not None
    described = json.loads(found.file(DESCRIPTION))
    assert described["machines"] == [each.machine for each in FLEET]
    assert "Oil_T" not in described["features"]
    assert base_of((*others, *FLEET[:3])) is None


def test_a_machine_without_windows_does_not_stop_the_base(base: FleetBase) -> None:
    seconds = np.arange(ROWS) * 10 + np.arange(ROWS) // 6 * 3600
    short = telemetry(sensors(ROWS), seconds)
    with pytest.raises(TrainingError):
        MODEL.prepare_for_base(replace(short, timestamps=short.timestamps + np.timedelta64(99, "D")), spec(), BOUNDARY)
    found = base_of((*FLEET, replace(short, machine="PUMP-9")))
    assert found is not None
    assert found.file("base") == base.file("base")


def test_rows_at_or_after_the_boundary_are_refused() -> None:
    whole = (("PUMP-0", MODEL.prepare(FLEET[0], spec())),)
    with pytest.raises(ValueError, match="PUMP-0: the base must not see rows"):
        MODEL.train_base(whole, spec(), BOUNDARY, SilentReporter(), device=Device("CPU", 1))


def test_another_process_trains_the_same_model_from_the_files_of_a_base(base: FleetBase) -> None:
    restored = restored_base(base.files)
    assert (restored.fingerprint, restored.boundary) == (base.fingerprint, base.boundary)
    assert content(trained_from(restored, FLEET[1]), "model") == content(trained_from(base, FLEET[1]), "model")
    with pytest.raises(ValueError, match="cannot be read"):
        restored_base(base.files[:1])


def test_a_model_from_the_base_has_the_files_of_any_other(base: FleetBase) -> None:
    trained, alone = (trained_from(start, FLEET[0]) for start in (base, None))
    assert [(file.role, file.suffix) for file in trained.files] == [(file.role, file.suffix) for file in alone.files]
    assert content(trained, "scaler") == content(alone, "scaler")
    assert set(alone.metrics) | {"base"} == set(trained.metrics)
    assert all(np.isfinite(trained.metrics[name]) for name in ("final_train_loss", "final_val_loss", "best_val_loss"))


def test_machines_after_the_first_compile_nothing(base: FleetBase) -> None:
    import jax

    compiled: list[str] = []
    trained_from(base, FLEET[0])

    def record(event: str, duration_secs: float, **_: str | int) -> None:
        compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(record)
    trained_from(base, machine(20))
    assert not [event for event in compiled if "backend_compile" in event]


def test_a_request_to_stop_ends_the_training_of_a_base() -> None:
    class Stopping(SilentReporter):
        def should_stop(self) -> bool:
            return True

    datasets = [(each.machine, MODEL.prepare_for_base(each, spec(), BOUNDARY)) for each in FLEET]
    with pytest.raises(TrainingError) as caught:
        MODEL.train_base(datasets, spec(), BOUNDARY, Stopping(), device=Device("CPU", 1))
    assert caught.value.reason == "Suspended"


def test_the_boundary_is_where_the_test_part_begins_by_the_calendar() -> None:
    start, end = np.datetime64("2025-01-01"), np.datetime64("2025-01-11")
    assert fleet_boundary(start, end, 0.2) == np.datetime64("2025-01-09")
