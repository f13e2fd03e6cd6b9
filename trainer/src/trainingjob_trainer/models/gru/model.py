"""The gru model: a network that predicts the health score one step ahead, from its dataset to its files.

All that decides how a training continues is in its state and its arrays; all randomness is a function of the seed and
the step. So a training that is stored and resumed ends in the same weights, bit by bit, as one never interrupted.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_api.values import HEALTH_INDICATORS
from trainingjob_trainer.data.columns import ANALOGUE_COLUMNS, GRU_FEATURES, is_derived
from trainingjob_trainer.data.dataset import HealthDataset, Telemetry, TrainedModel
from trainingjob_trainer.data.health_dataset import prepare_health_dataset
from trainingjob_trainer.data.windows import create_sequences, validation_start
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.base import ContractName, ModelType
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.comparison import Comparison, FreshErrors, RegisteredModel
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.report.content import MetricsTable, ReportContent

MACHINES_AT_ONCE = 256
"""A step for so many takes about twice as long as a step for one on a GPU of a data centre."""

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
    from trainingjob_trainer.models.gru.machine import evaluate, fit, prepare_training
    from trainingjob_trainer.models.gru.network import check_device

    if device:
        check_device(device)
    training = prepare_training(dataset, spec, base)
    reporter.heartbeat()
    return evaluate(training, fit(training, reporter, checkpoints), reporter)


class GruModel(ModelType[HealthDataset]):
    """The model type ``gru``."""

    name = "gru"
    trainer_revision = 3
    has_base = True
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

    def prepare_for_base(self, telemetry: Telemetry, spec: TrainingJobSpec, boundary: np.datetime64) -> HealthDataset:
        """The training part without its validation part, as far as it is before the boundary, as a training part."""
        own = self.prepare(telemetry, spec)
        own_end = own.timestamps[validation_start(own, spec.model.gru.validation_fraction)]
        whole = spec.data.model_copy(update={"min_rows": 1, "test_fraction": 0.0})
        earlier = telemetry.before(min(own_end, boundary))
        return prepare_health_dataset(earlier, whole, spec.model.gru)

    def train_base(
        self,
        datasets: Iterable[tuple[str, HealthDataset]],
        spec: TrainingJobSpec,
        boundary: np.datetime64,
        reporter: Reporter,
        *,
        device: Device,
    ) -> FleetBase | None:
        """One network on the machines with the most common features."""
        from trainingjob_trainer.models.gru.base_training import train_gru_base

        return train_gru_base(datasets, spec, boundary, reporter, device, self.trainer_revision)

    def machines_at_once(self, device: Device) -> int:
        """Many on a GPU with JAX; on a CPU nothing is gained."""
        if device.used != "GPU":
            return 1
        from trainingjob_trainer.models.gru.network import backend

        return MACHINES_AT_ONCE if backend() == "jax" else 1

    def train_many(
        self,
        machines: Sequence[tuple[HealthDataset, TrainingJobSpec]],
        reporter: Reporter,
        *,
        device: Device,
        base: FleetBase | None = None,
    ) -> list[TrainedModel | TrainingError]:
        """With JAX; the errors are those of single trainings, the weights not bit by bit."""
        from trainingjob_trainer.models.gru.network import check_device
        from trainingjob_trainer.models.gru.together import train_together

        check_device(device)
        return train_together(machines, reporter, base, device.threads)

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
