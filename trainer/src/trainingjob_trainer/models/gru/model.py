"""The gru model: a network that predicts the health score one step ahead, from its dataset to its files.

All that decides how a training continues is in its state and its arrays; all randomness is a function of the seed and
the step. So a training that is stored and resumed ends in the same weights, bit by bit, as one never interrupted.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import HEALTH_INDICATORS
from trainingjob_trainer.data.columns import ANALOGUE_COLUMNS, GRU_FEATURES, is_derived
from trainingjob_trainer.data.dataset import HealthDataset, Telemetry, TrainedModel
from trainingjob_trainer.data.health_dataset import prepare_health_dataset
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.base import ContractName, ModelType
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.comparison import Comparison, FreshErrors, RegisteredModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.gru.schedule import Schedule, State, after_epoch, is_finished, learning_rate, plan
from trainingjob_trainer.models.metrics import strict_json
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions
from trainingjob_trainer.report.content import MetricsTable, ReportContent

if TYPE_CHECKING:
    import keras

    from trainingjob_trainer.models.gru.chunks import TrainingData, Weights

WINDOWS_PER_CHUNK = 4
"""A step takes one chunk for every four windows of ``batchSize``, and sees many times as many targets."""

_SLICE_STEPS = 25
"""Optimiser steps at one learning rate, between two looks at whether to stop or to store a checkpoint, at most."""

_ERRORS = ("rmse", "mae", "r2")
_BASELINES = ("persistence", "mean", "ridge")


def train_gru(
    dataset: HealthDataset,
    spec: TrainingJobSpec,
    reporter: Reporter,
    checkpoints: Checkpoints | None = None,
    device: Device | None = None,
    base: FleetBase | None = None,
) -> TrainedModel:
    """Trains the gru model of one machine.

    The network learns what a base misses: the base is 0 (Direct) or the last known score (Residual). What it learns is
    standardised; the scale goes into the last layer and the base into a frozen layer of the saved model. A Residual
    model is mixed with a ridge regression on the same windows, by a weight that the validation part determines.

    Args:
        dataset: The data.
        spec: What to train; ``spec.model.gru`` and ``spec.model.seed`` count here.
        reporter: Receives epochs and heartbeats, and says whether to stop.
        checkpoints: Where to resume from, and where to store the state; None stores nothing.
        device: What the attempt was given; None accepts whatever Keras computes on.
        base: What to start from; None starts from random weights.

    Raises:
        TrainingError: ``InsufficientData`` when a part has no window, ``Diverged`` when a loss is not finite,
            ``Suspended`` when asked to stop, after a checkpoint, ``AcceleratorMissing`` when Keras cannot use the GPU.
    """
    # Keras reads its backend when it is imported, and only a gru pays for the import.
    from trainingjob_trainer.models.gru.baselines import fit_ridge, last_score
    from trainingjob_trainer.models.gru.chunks import TrainingData
    from trainingjob_trainer.models.gru.ensemble import Ensemble
    from trainingjob_trainer.models.gru.evaluation import cautions, health_metrics, summary, test_metrics
    from trainingjob_trainer.models.gru.export import save_model, save_scaler
    from trainingjob_trainer.models.gru.network import Shape, backend, check_device, training_network
    from trainingjob_trainer.models.gru.prediction import permutation_importance, predict
    from trainingjob_trainer.models.gru.target import standardise
    from trainingjob_trainer.models.gru.validation import validation_on_chunks

    if device:
        check_device(device)
    settings, seed = spec.model.gru, spec.model.seed
    sequences = create_sequences(dataset, settings.sequence_length, settings.validation_fraction)
    training, test = sequences.training, sequences.test
    ridge = fit_ridge(training)
    residual = settings.output == "Residual"
    target = standardise(training, last_score(dataset.health, dataset.scaler, dataset.features) if residual else None)
    reporter.heartbeat()

    shape = Shape(settings.sequence_length, len(dataset.features), settings.units, settings.dropout)
    mixed_with = ridge if residual else None
    batch = max(1, settings.batch_size // WINDOWS_PER_CHUNK)
    validation = validation_on_chunks(sequences.validation, target, mixed_with, settings.sequence_length, batch)
    data = TrainingData(training, target, settings.sequence_length, batch, validation.loss)
    schedule = plan(settings, seed, data.steps_in_pass)
    network = training_network(shape, settings.sequence_length, seed)
    state, best = fit_network(network, data, schedule, reporter, checkpoints)
    model = Ensemble(shape, target, mixed_with, sequences.validation).model(best)
    predicted = predict(model.network, test)
    reporter.heartbeat()

    judged = test_metrics(dataset, sequences, predicted, ridge(test))
    metrics = strict_json(
        {
            **judged,
            "notes": cautions(judged),
            **health_metrics(dataset),
            "sequence_length": settings.sequence_length,
            "output": settings.output,
            "network_share": model.weight,
            "epochs_trained": state.epoch,
            "best_epoch": state.best_epoch,
            "epochs_planned": schedule.epochs,
            "steps_per_epoch": schedule.steps,
            "chunks_per_step": batch,
            "peak_learning_rate": schedule.learning_rate,
            "reduced_learning_rate": state.learning_rate,
            "final_train_loss": state.losses[-1],
            "final_val_loss": state.validation_losses[-1],
            "best_val_loss": state.best,
            "backend": backend(),
            "versions": versions(("keras", backend())),
        }
    )
    report = {
        "history": {"loss": list(state.losses), "validation_loss": list(state.validation_losses)},
        "test_timestamps": dataset.timestamps[test.target_rows],
        "actual": test.target,
        "predicted": predicted,
        "persistence": test.last_score,
        "importance": permutation_importance(model.network, test, dataset.features, seed),
        "importance_unit": "RMSE of the health score",
    }
    files = [save_model(shape, model.weights, model.skip), *save_scaler(dataset.scaler, dataset.health)]
    return TrainedModel(files, metrics, summary(judged), report)


def fit_network(
    network: "keras.Model",
    data: "TrainingData",
    schedule: Schedule,
    reporter: Reporter,
    checkpoints: Checkpoints | None,
) -> "tuple[State, Weights]":
    """Trains a network until the planned epochs or the patience are over.

    Args:
        network: As ``network.training_network`` builds it.
        data: What it learns from.
        schedule: How long and how fast.
        reporter: Receives every epoch and a heartbeat for every slice of it, and says whether to stop.
        checkpoints: Where to resume from, and where to store the state; None stores nothing.

    Returns:
        The last state, and the weights of the best epoch.

    Raises:
        TrainingError: ``Diverged`` when a loss is not finite; ``Suspended`` when asked to stop, after a checkpoint.
    """
    from trainingjob_trainer.models.gru.network import compile_network, seed_dropout
    from trainingjob_trainer.models.gru.resume import resume, snapshot

    compile_network(network)
    state, best = resume(network, schedule, checkpoints) or (State(schedule.learning_rate), network.get_weights())
    batches = islice(data.batches(schedule.seed), state.epoch * schedule.steps + state.step, None)
    while not is_finished(state, schedule):
        steps = min(_SLICE_STEPS, schedule.steps - state.step)
        network.optimizer.learning_rate = learning_rate(state, schedule, steps)
        seed_dropout(network, schedule.seed, state.epoch * schedule.steps + state.step)
        inputs, targets, weights = data.gather(list(islice(batches, steps)))
        history = network.fit(inputs, targets, sample_weight=weights, batch_size=data.batch, shuffle=False, verbose=0)
        # Keras divides by all places of a batch, those of weight 0 included.
        loss = float(history.history["loss"][0]) * weights.size / float(weights.sum()) * data.target.scale**2
        state = replace(state, step=state.step + steps, loss_sum=state.loss_sum + loss * steps)
        if state.step == schedule.steps:
            state = after_epoch(state, schedule, data.validation_loss(network))
            _refuse_divergence(state)
            best = network.get_weights() if state.since_best == 0 else best
            reporter.epoch(
                state.epoch, schedule.epochs, loss=state.losses[-1], validation_loss=state.validation_losses[-1]
            )
        reporter.heartbeat()
        stopping = reporter.should_stop()
        if checkpoints and stopping:
            checkpoints.put(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        elif checkpoints and (checkpoints.is_due() or is_finished(state, schedule)):
            checkpoints.offer(snapshot(network, state, best, schedule, checkpoints.fingerprint))
        if stopping:
            kept = ", after a checkpoint" if checkpoints else ""
            raise TrainingError(Reason.SUSPENDED, f"Stopped on request in epoch {state.epoch + 1}{kept}.")
    return state, best


def _refuse_divergence(state: State) -> None:
    if math.isfinite(state.losses[-1]) and math.isfinite(state.validation_losses[-1]):
        return
    raise TrainingError(
        Reason.DIVERGED,
        f"The loss is not finite after epoch {state.epoch} at a peak learning rate of {state.learning_rate:g}: set a "
        "lower model.gru.learningRate, and look for extreme values in what the report says of the data.",
    )


class GruModel(ModelType[HealthDataset]):
    """The model type ``gru``."""

    name = "gru"
    trainer_revision = 3
    contract_names: ClassVar[Mapping[str, ContractName]] = {
        "model": ContractName("gru_model_weights_", ".h5"),
        "scaler": ContractName("gru_model_scaler_", ".pkl"),
    }
    libraries = ("keras", "h5py")
    train = staticmethod(train_gru)
    comparison_files = ("model", "scaler-json")

    def prepare(self, telemetry: Telemetry, spec: TrainingJobSpec) -> HealthDataset:
        """See ``ModelType``."""
        return prepare_health_dataset(telemetry, spec.data, spec.model.gru)

    def settings(self, spec: TrainingJobSpec) -> dict[str, Any]:
        """See ``ModelType``; the metrics hold what automatic settings resolve to."""
        return {name: "automatic" if value is None else value for name, value in super().settings(spec).items()}

    def sensors(self, spec: TrainingJobSpec) -> set[str]:
        """The features and the health indicators."""
        return {*(spec.model.gru.features or GRU_FEATURES), *HEALTH_INDICATORS}

    def columns(self, spec: TrainingJobSpec, numeric: Sequence[str]) -> tuple[str, ...]:
        """The sensors, what may stand for them and what tells whether the engine ran; all with a derived feature."""
        if any(map(is_derived, spec.model.gru.features)):
            return super().columns(spec, numeric)
        wanted = {*self.sensors(spec), *spec.data.columns.values(), *ANALOGUE_COLUMNS, "Eng_RPM", "running"}
        return tuple(name for name in numeric if name in wanted)

    def compare(
        self, dataset: HealthDataset, spec: TrainingJobSpec, trained: TrainedModel, registered: RegisteredModel
    ) -> Comparison:
        """By RMSE: 1 minus that of the new model divided by that of the registered one."""
        from trainingjob_trainer.models.gru.comparison import compare_gru

        return compare_gru(dataset, trained, registered)

    def fresh_errors(
        self, dataset: HealthDataset, registered: RegisteredModel, after: np.datetime64
    ) -> FreshErrors | None:
        """See ``ModelType``."""
        from trainingjob_trainer.models.gru.comparison import gru_fresh_errors

        return gru_fresh_errors(dataset, registered, after)

    def describe(self, dataset: HealthDataset, spec: TrainingJobSpec) -> Iterable[tuple[str, str]]:
        """The number of windows."""
        gru = spec.model.gru
        sequences = create_sequences(dataset, gru.sequence_length, gru.validation_fraction)
        yield (
            "windows",
            f"{len(sequences.training)} training, {len(sequences.validation)} validation, "
            f"{len(sequences.test)} test, {sequences.dropped} dropped for want of a target",
        )

    def report(self, dataset: HealthDataset, trained: TrainedModel) -> ReportContent:
        """Learning curves, predictions, residuals and the table of baselines."""
        from trainingjob_trainer.models.gru.figures import figures

        headlines = {
            "test_size": "test windows",
            "skill": "skill",
            "skill_running": "skill, engine running",
            "rmse": "RMSE",
            "mae": "MAE",
            "r2": "R2",
        }
        return ReportContent(headlines, self.result_table(trained.metrics), figures(dataset, trained))

    def result_table(self, metrics: Mapping[str, Any]) -> MetricsTable:
        """Errors beside those of persistence, the mean and ridge regression."""
        models = [("this model", ""), *((name, f"_{name}") for name in _BASELINES if f"rmse_{name}" in metrics)]
        return MetricsTable(
            "Test part, one step ahead",
            [name.upper() for name in _ERRORS],
            [(label, [metrics.get(f"{name}{suffix}") for name in _ERRORS]) for label, suffix in models],
            ("skill against persistence", metrics.get("skill")),
        )

    def sample_metrics(self) -> Mapping[str, Any]:
        """See ``ModelType``."""
        numbers = ("mae", "rmse", "r2", "r2_score", "mse", "skill", "final_train_loss", "final_val_loss")
        scores = tuple(f"health_score_{what}_{part}" for what in ("mean", "std") for part in ("train", "test"))
        counts = ("train_size", "test_size", "sequence_length", "epochs_trained")
        return dict.fromkeys((*numbers, *scores), 0.9) | dict.fromkeys(counts, 1000)
