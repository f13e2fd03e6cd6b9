"""The gru model: how a network that predicts the health score one step ahead is trained, judged and saved."""

import numpy as np

from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Prepared, TrainedModel
from trainingjob_trainer.data.windows import create_sequences
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.gru.baselines import fit_ridge, last_score
from trainingjob_trainer.models.gru.evaluation import cautions, health_metrics, summary, test_metrics
from trainingjob_trainer.models.gru.prediction import permutation_importance, predict
from trainingjob_trainer.models.gru.schedule import Schedule
from trainingjob_trainer.models.gru.target import standardise
from trainingjob_trainer.models.metrics import strict_json
from trainingjob_trainer.models.reporter import Reporter
from trainingjob_trainer.models.versions import versions

WINDOWS_PER_CHUNK = 4
RATE_ON_CHUNKS = 3.0
"""The spec speaks of steps on windows. A step on chunks takes one chunk for every four windows of ``batchSize`` and
sees many times as many targets, so it is taken at three times ``learningRate``: the same error in a third of the steps.
"""

MINIMUM_STEPS, MAXIMUM_STEPS = 125, 1000
"""Optimiser steps of an epoch where ``stepsPerEpoch`` is absent: one pass over the data, but within these bounds."""


def train_gru(
    prepared: Prepared, spec: TrainingJobSpec, reporter: Reporter, checkpoints: Checkpoints | None = None
) -> TrainedModel:
    """Trains the gru model of one machine.

    The network learns what a base misses: the base is 0 (Direct) or the last known score (Residual). What it learns is
    standardised; the scale goes into the last layer and the base into a frozen layer of the saved model. A Residual
    model is mixed with a ridge regression on the same windows, in the share that the validation part asks for.

    Args:
        prepared: Data prepared for a gru.
        spec: What to train; ``spec.model.gru`` and ``spec.model.seed`` count here.
        reporter: Is told epochs and signs of life, and asked whether to stop.
        checkpoints: Where to go on from, and where to store how far it came; None stores nothing.

    Raises:
        TrainingError: ``InsufficientData`` when a part has no window, ``Diverged`` when a loss is not finite,
            ``Suspended`` when asked to stop, after a checkpoint.
    """
    # Keras reads its backend when it is imported, and nothing but a gru pays for the import.
    from trainingjob_trainer.models.gru import ensemble as gru_assembly
    from trainingjob_trainer.models.gru import export as gru_saving
    from trainingjob_trainer.models.gru import network as gru_network
    from trainingjob_trainer.models.gru import trainer as gru_training

    if prepared.scaler is None or prepared.health is None:
        raise ValueError("train_gru needs data prepared for a gru")
    settings, seed = spec.model.gru, spec.model.seed
    sequences = create_sequences(prepared, settings.sequence_length, settings.validation_fraction)
    training, test = sequences.training, sequences.test
    ridge = fit_ridge(training)
    residual = settings.output == "Residual"
    target = standardise(
        training, last_score(prepared.health, prepared.scaler, prepared.features) if residual else None
    )
    reporter.advanced()

    shape = gru_network.Shape(settings.sequence_length, len(prepared.features), settings.units, settings.dropout)
    assembly = gru_assembly.Assembly(shape, target, ridge if residual else None, sequences.validation)
    batch = max(1, settings.batch_size // WINDOWS_PER_CHUNK)
    material = gru_training.Material(training, target, settings.sequence_length, batch, assembly.validation_loss)
    schedule = Schedule(
        epochs=settings.epochs,
        steps=settings.steps_per_epoch or int(np.clip(material.steps_in_pass, MINIMUM_STEPS, MAXIMUM_STEPS)),
        rate=settings.learning_rate * RATE_ON_CHUNKS,
        stop_patience=settings.early_stopping_patience,
        rate_patience=settings.reduce_lr_on_plateau_patience,
        seed=seed,
    )
    network = gru_network.training_network(shape, settings.sequence_length, seed)
    state, best = gru_training.train(network, material, schedule, reporter, checkpoints)
    model = assembly.model(best)
    predicted = predict(model.network, test)
    reporter.advanced()

    losses = {"loss": list(state.losses), "validation_loss": list(state.validation_losses)}
    judged = test_metrics(prepared, sequences, predicted, ridge(test))
    metrics = strict_json(
        {
            **judged,
            "notes": cautions(judged),
            **health_metrics(prepared),
            "sequence_length": settings.sequence_length,
            "output": settings.output,
            "network_share": model.share,
            "epochs_trained": state.epoch,
            "best_epoch": state.best_epoch,
            "steps_per_epoch": schedule.steps,
            "chunks_per_step": batch,
            "first_learning_rate": schedule.rate,
            "final_learning_rate": state.rate,
            "final_train_loss": losses["loss"][-1],
            "final_val_loss": losses["validation_loss"][-1],
            "best_val_loss": state.best,
            "backend": gru_network.backend(),
            "versions": versions(("keras", gru_network.backend())),
        }
    )
    report = {
        "history": losses,
        "test_timestamps": prepared.timestamps[test.target_rows],
        "actual": test.target,
        "predicted": predicted,
        "persistence": test.last_score,
        "importance": permutation_importance(model.network, test, prepared.features, seed),
        "importance_unit": "RMSE of the health score",
    }
    files = [
        gru_saving.save_model(shape, model.weights, model.skip),
        *gru_saving.save_scaler(prepared.scaler, prepared.health),
    ]
    return TrainedModel(files, metrics, summary(judged), report)
