"""The gru model: how a network that predicts the health score one step ahead is trained, judged and saved."""

import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.checkpoint import Checkpoints
from trainingjob_trainer.evaluate import strict_json
from trainingjob_trainer.gru_baselines import LinearScore, fit_ridge, last_score, mixture
from trainingjob_trainer.gru_metrics import health_metrics, test_metrics
from trainingjob_trainer.gru_prediction import evenly, permutation_importance, predict
from trainingjob_trainer.gru_schedule import Schedule
from trainingjob_trainer.prepared import Prepared, TrainedModel
from trainingjob_trainer.reporter import Reporter
from trainingjob_trainer.spec import TrainingJobSpec
from trainingjob_trainer.versions import versions
from trainingjob_trainer.windows import Windows, create_sequences

Floats = NDArray[np.float32]

WINDOWS_PER_CHUNK = 4
"""``batchSize`` counts windows; a step takes one chunk for so many of them: 8 chunks for the default of 32."""

MINIMUM_STEPS, MAXIMUM_STEPS = 125, 1000
"""Optimiser steps of an epoch where ``stepsPerEpoch`` is absent: one pass over the data, but within these bounds."""

VALIDATION_WINDOWS = 2048
"""Windows, evenly spaced, that the validation loss of an epoch is taken from at most."""


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
    from trainingjob_trainer import gru_network, gru_saving, gru_training

    if prepared.scaler is None or prepared.health is None:
        raise ValueError("train_gru needs data prepared for a gru")
    settings, seed = spec.model.gru, spec.model.seed
    sequences = create_sequences(prepared, settings.sequence_length, settings.validation_fraction)
    training, validation, test = sequences.training, sequences.validation, sequences.test
    residual = settings.output == "Residual"
    base = last_score(prepared.health, prepared.scaler, prepared.features) if residual else None
    standardised, scale, offset = standardise(training, base)
    reporter.advanced()

    shape = gru_network.Shape(settings.sequence_length, len(prepared.features), settings.units, settings.dropout)
    network = gru_network.training_network(shape, settings.sequence_length, seed)
    checking = gru_network.prediction_network(shape, base)
    checked = evenly(validation, VALIDATION_WINDOWS)

    def validation_loss(weights: list[Floats]) -> float:
        gru_network.set_trained_weights(checking, gru_network.fold(weights, scale, offset))
        error = predict(checking, validation, checked).astype(np.float64) - validation.target[checked]
        return float(np.mean(error**2))

    batch = max(1, settings.batch_size // WINDOWS_PER_CHUNK)
    material = gru_training.Material(training, standardised, scale, settings.sequence_length, batch, validation_loss)
    schedule = Schedule(
        epochs=settings.epochs,
        steps=settings.steps_per_epoch or int(np.clip(material.steps_in_pass, MINIMUM_STEPS, MAXIMUM_STEPS)),
        rate=settings.learning_rate,
        stop_patience=settings.early_stopping_patience,
        rate_patience=settings.reduce_lr_on_plateau_patience,
        seed=seed,
    )
    state, best = gru_training.train(network, material, schedule, reporter, checkpoints)

    ridge = fit_ridge(training)
    share = 1.0
    if base is not None:
        gru_network.set_trained_weights(checking, gru_network.fold(best, scale, offset))
        share = mixture(validation.target, predict(checking, validation), ridge(validation))
        base = base.mixed_with(ridge, share)
    model = gru_network.prediction_network(shape, base)
    folded = gru_network.fold(best, share * scale, share * offset)
    gru_network.set_trained_weights(model, folded)
    predicted = predict(model, test)
    reporter.advanced()

    losses = {"loss": list(state.losses), "validation_loss": list(state.validation_losses)}
    metrics = strict_json(
        {
            **test_metrics(prepared, sequences, predicted, ridge(test)),
            **health_metrics(prepared),
            "sequence_length": settings.sequence_length,
            "output": settings.output,
            "network_share": share,
            "epochs_trained": state.epoch,
            "best_epoch": state.best_epoch,
            "steps_per_epoch": schedule.steps,
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
        "importance": permutation_importance(model, test, prepared.features, seed),
        "importance_unit": "RMSE of the health score",
    }
    summary = "skill unknown" if metrics["skill"] is None else f"skill {metrics['skill']:.2f}"
    files = [gru_saving.save_model(shape, folded, base), *gru_saving.save_scaler(prepared.scaler, prepared.health)]
    return TrainedModel(files, metrics, summary, report)


def standardise(training: Windows, base: LinearScore | None) -> tuple[Floats, float, float]:
    """What the network shall say for each row: the score less the base, with mean 0 and standard deviation 1.

    Returns:
        The standardised target of every row, shape (rows,), NaN outside the targets of the training part; the units
        of the score that 1 stands for; the score that 0 stands for.
    """
    wanted = training.target - base(training) if base else training.target
    offset, scale = float(np.mean(wanted, dtype=np.float64)), float(np.std(wanted, dtype=np.float64))
    scale = scale if scale > 0 else 1.0
    standardised = np.full(len(training.targets), np.nan, np.float32)
    standardised[training.target_rows] = (wanted - offset) / scale
    return standardised, scale, offset
