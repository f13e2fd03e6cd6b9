"""The training of one machine: what is fixed before the first step, the fit, and the evaluation of its result."""

from dataclasses import dataclass, replace

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import HealthDataset, TrainedModel
from trainingjob_trainer.data.windows import Sequences, create_sequences
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.fleet_base import FleetBase
from trainingjob_trainer.models.gru.baselines import LinearScore, fit_ridge, last_score
from trainingjob_trainer.models.gru.chunks import TrainingData
from trainingjob_trainer.models.gru.ensemble import Ensemble
from trainingjob_trainer.models.gru.evaluation import cautions, health_metrics, summary, test_metrics
from trainingjob_trainer.models.gru.export import save_model, save_scaler
from trainingjob_trainer.models.gru.from_base import (
    Network,
    after_boundary,
    base_metrics,
    fit_from_base,
    suitable_base,
)
from trainingjob_trainer.models.gru.network import Shape, backend
from trainingjob_trainer.models.gru.prediction import permutation_importance, predict
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.gru.training import Fitted, chunks_per_step, fit_own
from trainingjob_trainer.models.gru.validation import Validation, validation_on_chunks
from trainingjob_trainer.models.metrics import strict_json
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions


@dataclass(frozen=True)
class MachineTraining:
    """A machine before its training.

    Attributes:
        dataset: Its data.
        spec: What to train.
        sequences: Its windows; those of the test part that the model is evaluated on.
        shape: Of its network.
        ridge: Ridge regression on the training windows.
        data: What its network learns from.
        validation: Its validation part.
        base: The base of its fleet, if there is one.
        start: The network of the base, where the machine starts from it.
        note: Why it does not, as a sentence.
    """

    dataset: HealthDataset
    spec: TrainingJobSpec
    sequences: Sequences
    shape: Shape
    ridge: LinearScore
    data: TrainingData
    validation: Validation
    base: FleetBase | None
    start: Network | None
    note: str | None

    @property
    def mixed_with(self) -> LinearScore | None:
        """What the network may be mixed with."""
        return self.ridge if self.spec.model.gru.output == "Residual" else None


def prepare_training(dataset: HealthDataset, spec: TrainingJobSpec, base: FleetBase | None) -> MachineTraining:
    """Cuts the windows, fits ridge regression and the scale of the target, and decides whether the base suits.

    Raises:
        TrainingError: ``InsufficientData`` when a part has no window.
    """
    settings = spec.model.gru
    length = settings.sequence_length
    sequences = create_sequences(dataset, length, settings.validation_fraction)
    start, note = suitable_base(base, dataset, sequences, settings) if base else (None, None)
    if base and start:
        sequences = replace(sequences, test=after_boundary(sequences.test, dataset, base.boundary))
    training = sequences.training
    ridge = fit_ridge(training)
    residual = settings.output == "Residual"
    target = standardise(training, last_score(dataset.health, dataset.scaler, dataset.features) if residual else None)
    batch = chunks_per_step(settings)
    validation = validation_on_chunks(
        sequences.validation, target, ridge if residual else None, length, batch, trust_network=start is not None
    )
    data = TrainingData(training, target, length, batch, validation.loss)
    shape = Shape(length, len(dataset.features), settings.units, settings.dropout)
    return MachineTraining(dataset, spec, sequences, shape, ridge, data, validation, base, start, note)


def fit(training: MachineTraining, reporter: Reporter, checkpoints: Checkpoints | None) -> Fitted:
    """Trains the network of one machine.

    Raises:
        TrainingError: ``Diverged``, ``Suspended``.
    """
    model = training.spec.model

    def fit_alone(data: TrainingData) -> Fitted:
        return fit_own(model.gru, training.shape, data, model.seed, reporter, checkpoints)

    if training.start is None:
        return fit_alone(training.data)
    return fit_from_base(training.start, training.data, training.validation, model.seed, reporter, fit_alone)


def evaluate(training: MachineTraining, fitted: Fitted, reporter: Reporter) -> TrainedModel:
    """Makes the model of a trained network, and evaluates it on the test part."""
    dataset, sequences, settings = training.dataset, training.sequences, training.spec.model.gru
    test, state, schedule = sequences.test, fitted.state, fitted.schedule
    ensemble = Ensemble(
        training.shape,
        training.data.target,
        training.mixed_with,
        sequences.validation,
        trust_network=fitted.from_base,
    )
    model = ensemble.model(fitted.weights)
    predicted = predict(model.network, test)
    reporter.heartbeat()
    judged = test_metrics(dataset, sequences, predicted, training.ridge(test))
    base, kept = training.base, fitted.kept if model.weight else "ridge"
    metrics = strict_json(
        {
            **judged,
            "notes": [*filter(None, [training.note]), *cautions(judged)],
            **({"base": base_metrics(base, kept)} if base else {}),
            **health_metrics(dataset),
            "sequence_length": settings.sequence_length,
            "output": settings.output,
            "network_share": model.weight,
            "epochs_trained": state.epoch,
            "best_epoch": state.best_epoch,
            "epochs_planned": schedule.epochs,
            "steps_per_epoch": schedule.steps,
            "chunks_per_step": training.data.batch,
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
        "importance": permutation_importance(model.network, test, dataset.features, training.spec.model.seed),
        "importance_unit": "RMSE of the health score",
    }
    files = [save_model(training.shape, model.weights, model.skip), *save_scaler(dataset.scaler, dataset.health)]
    return TrainedModel(files, metrics, summary(judged), report)
