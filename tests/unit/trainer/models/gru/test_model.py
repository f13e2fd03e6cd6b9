"""Training is a function of data, spec and seed, whatever interrupts it; what is saved says what was trained."""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.gru.chunks import TrainingData
from trainingjob_trainer.models.gru.model import GruModel, train_gru
from trainingjob_trainer.models.gru.schedule import Schedule
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.reporter import SilentReporter

MakeSpec = Callable[..., TrainingJobSpec]


@dataclass(frozen=True)
class Stored:
    key: str


@dataclass
class MemoryStore:
    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, content: bytes) -> None:
        self.objects[key] = content

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def list(self, prefix: str) -> list[Stored]:
        return [Stored(key) for key in sorted(self.objects) if key.startswith(prefix)]

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)


@dataclass
class Impatient(SilentReporter):
    """Asks to stop at the n-th question."""

    questions: int = 0
    epochs: list[int] = field(default_factory=list)

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        self.epochs.append(epoch)

    def should_stop(self) -> bool:
        self.questions -= 1
        return self.questions == 0


def attempt(spec: TrainingJobSpec, number: int = 1, spec_hash: str = "a" * 64) -> TrainingRun:
    told = {"namespace": "pumps", "name": "health", "uid": "0123456789", "run": 1, "attempt": number}
    told |= {"specHash": spec_hash, "window": {}, "acceleratorPolicy": "Disabled", "adopt": False}
    return TrainingRun.model_validate({**told, "spec": spec})


def model_bytes(trained: TrainedModel) -> bytes:
    return next(file.content for file in trained.files if file.role == "model")


@pytest.mark.parametrize("slice_steps", [1, 2])  # in the middle of an epoch, and at its end
def test_a_stopped_and_resumed_training_gives_identical_weights(
    dataset: HealthDataset, make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, slice_steps: int
) -> None:
    monkeypatch.setattr("trainingjob_trainer.models.gru.training.SLICE_STEPS", slice_steps)
    spec = make_spec(epochs=2, reduceLROnPlateauPatience=1)
    whole = train_gru(dataset, spec, SilentReporter())
    store = MemoryStore()
    for number in range(1, 99):
        checkpoints = Checkpoints(store, attempt(spec, number), "f" * 64)
        with suppress(TrainingError):
            resumed = train_gru(dataset, spec, Impatient(1), checkpoints)
            break
    assert len(store.objects) == number - 1 == 4 // slice_steps
    assert np.array_equal(resumed.report["predicted"], whole.report["predicted"])
    assert model_bytes(resumed) == model_bytes(whole)
    assert resumed.metrics == whole.metrics


class KilledError(RuntimeError):
    """The process of a training ends without notice."""


@dataclass
class Mortal(SilentReporter):
    """Kills the training when it reports an epoch."""

    epoch_of_death: int

    def epoch(
        self, epoch: int, epochs: int, *, loss: float | None = None, validation_loss: float | None = None
    ) -> None:
        if epoch == self.epoch_of_death:
            raise KilledError


def test_a_killed_training_resumes_from_its_most_advanced_checkpoint(
    dataset: HealthDataset, make_spec: MakeSpec
) -> None:
    spec, store, listener = make_spec(), MemoryStore(), Impatient()
    whole = train_gru(dataset, spec, SilentReporter())
    for number, epoch in ((1, 3), (2, 2)):
        # Each attempt starts from nothing, so that the second one leaves the less advanced checkpoint.
        own = MemoryStore()
        with suppress(KilledError):
            train_gru(dataset, spec, Mortal(epoch), Checkpoints(own, attempt(spec, number), "f" * 64, every_seconds=0))
        store.objects |= own.objects
    resumed = train_gru(dataset, spec, listener, Checkpoints(store, attempt(spec, 3), "f" * 64))
    assert listener.epochs == [3]
    assert model_bytes(resumed) == model_bytes(whole)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"fingerprint": "e" * 64}, "other data"),
        ({"content": b"PK not an archive"}, "cannot be read"),
        ({"units": [5, 3]}, "another network"),
        ({"learningRate": 0.1}, "another schedule"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_discarded_with_a_reason(
    dataset: HealthDataset, make_spec: MakeSpec, caplog: pytest.LogCaptureFixture, change: dict[str, Any], why: str
) -> None:
    spec, store, listener = make_spec(epochs=1), MemoryStore(), Impatient()
    other = make_spec(epochs=1, **{name: value for name, value in change.items() if name in ("units", "learningRate")})
    train_gru(dataset, other, SilentReporter(), Checkpoints(store, attempt(other), change.get("fingerprint", "f" * 64)))
    store.objects = {key: change.get("content", content) for key, content in store.objects.items()}
    with caplog.at_level(logging.WARNING):
        train_gru(dataset, spec, listener, Checkpoints(store, attempt(spec, 2), "f" * 64))
    assert listener.epochs == [1]
    assert why in caplog.text


def test_an_unavailable_store_is_an_error_only_when_the_training_is_stopped(
    dataset: HealthDataset, make_spec: MakeSpec
) -> None:
    class Down(MemoryStore):
        def put(self, key: str, content: bytes) -> None:
            raise TrainingError(Reason.ARTIFACT_STORE_FAILED, "down")

    spec, listener = make_spec(), Impatient()
    train_gru(dataset, spec, listener, Checkpoints(Down(), attempt(spec), "f" * 64, every_seconds=0))
    assert listener.epochs == [1, 2, 3]
    with pytest.raises(TrainingError) as caught:
        train_gru(dataset, spec, Impatient(1), Checkpoints(Down(), attempt(spec), "f" * 64))
    assert caught.value.reason == "ArtifactStoreFailed"


def test_checkpoints_of_another_spec_are_not_read_and_are_removed(dataset: HealthDataset, make_spec: MakeSpec) -> None:
    spec, store, listener = make_spec(epochs=1), MemoryStore(), Impatient()
    train_gru(dataset, spec, SilentReporter(), Checkpoints(store, attempt(spec, 1, "b" * 64), "f" * 64))
    checkpoints = Checkpoints(store, attempt(spec, 2), "f" * 64)
    train_gru(dataset, spec, listener, checkpoints)
    assert listener.epochs == [1]
    checkpoints.remove_superseded()
    assert list(store.objects) == [f"checkpoints/pumps/health/{'a' * 64}/01234567-1-2"]
    checkpoints.remove()
    assert not store.objects


def test_a_loss_that_is_not_finite_ends_the_run(sequences: Sequences) -> None:
    from trainingjob_trainer.models.gru.network import Shape, initial_weights, start_training
    from trainingjob_trainer.models.gru.training import fit_network

    broken = replace(sequences.training, inputs=sequences.training.inputs * np.nan)
    data = TrainingData(broken, standardise(sequences.training, None), 8, 2, lambda network: 0.1)
    shape = Shape(8, 5, (4, 3), 0.2)
    network = start_training(shape, 8, initial_weights(shape, 7))
    schedule = Schedule(3, 2, 1e-3, start_from_epoch=1, stop_patience=9, learning_rate_patience=9, seed=7)
    with pytest.raises(TrainingError, match="not finite after epoch 1") as caught:
        fit_network(network, data, schedule, SilentReporter(), None)
    assert caught.value.reason == "Diverged"


@pytest.mark.parametrize("output", ["Residual", "Direct"])
def test_metrics_contain_the_keys_that_registry_readers_use(
    dataset: HealthDataset, make_spec: MakeSpec, output: str
) -> None:
    trained = train_gru(dataset, make_spec(output=output), SilentReporter())
    metrics = json.loads(json.dumps(trained.metrics, allow_nan=False))
    contract = "mae rmse r2 r2_score mse train_size test_size sequence_length features_used epochs_trained"
    contract += " final_train_loss final_val_loss health_score_mean_train health_score_mean_test"
    contract += " health_score_std_train health_score_std_test"
    assert not set(contract.split()).difference(metrics)
    actual, predicted = trained.report["actual"].astype(float), trained.report["predicted"]
    persistence = np.sqrt(np.mean((trained.report["persistence"] - actual) ** 2))
    assert metrics["mae"] == pytest.approx(np.mean(np.abs(predicted - actual)))
    assert metrics["r2"] == pytest.approx(1 - np.mean((predicted - actual) ** 2) / np.var(actual))
    assert metrics["skill"] == pytest.approx(1 - metrics["rmse"] / persistence)
    assert metrics["test_size"] == len(actual)
    assert (metrics["epochs_trained"], metrics["epochs_planned"], metrics["steps_per_epoch"]) == (3, 3, 2)
    assert trained.summary.startswith(f"skill {metrics['skill']:.2f}")
    assert trained.summary.endswith(f"{len(actual)} windows")
    assert any(f"the test part has {len(actual)} windows" in note for note in metrics["notes"])


def test_the_report_names_settings_that_follow_from_the_data() -> None:
    spec = TrainingJobSpec.model_validate({"machine": "M-1", "model": {"type": "gru", "gru": {"epochs": 7}}})
    settings = GruModel().settings(spec)
    assert (settings["epochs"], settings["stepsPerEpoch"], settings["learningRate"]) == (7, "automatic", "automatic")


def test_an_undefined_r2_is_null_with_a_note(dataset: HealthDataset, make_spec: MakeSpec) -> None:
    dataset.frame.loc[dataset.test_start :, "health_score"] = np.float32(0.5)
    metrics = train_gru(dataset, make_spec(epochs=1), SilentReporter()).metrics
    assert metrics["r2"] is None
    assert any(note.startswith("Without a finite value on this data: r2") for note in metrics["notes"])


def test_a_changed_test_part_does_not_change_the_model(dataset: HealthDataset, make_spec: MakeSpec) -> None:
    before = train_gru(dataset, make_spec(), SilentReporter())
    dataset.frame.loc[dataset.test_start :] *= np.float32(3)
    after = train_gru(dataset, make_spec(), SilentReporter())
    assert model_bytes(after) == model_bytes(before)
    assert after.metrics["rmse"] != before.metrics["rmse"]
