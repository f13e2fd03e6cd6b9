"""The table of model types: how each is trained. A third type is one module and one entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Prepared, TrainedModel
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.checkpoint import Checkpoints
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.reporter import Reporter


@dataclass(frozen=True)
class Training:
    """Everything that a training may ask for.

    Attributes:
        prepared: The data.
        spec: What to train.
        reporter: Whom to tell.
        device: What to compute on.
        checkpoints: Those of this run; a type that cannot go on from one leaves them alone.
    """

    prepared: Prepared
    spec: TrainingJobSpec
    reporter: Reporter
    device: Device
    checkpoints: Checkpoints


@dataclass(frozen=True)
class ModelTrainer:
    """How models of one type are trained.

    Attributes:
        train: Trains one model.
        recipe: Raised when the same data and spec would give another kind of model than before: models of an older
            recipe are then no longer adopted.
    """

    train: Callable[[Training], TrainedModel]
    recipe: int


class ModelFactory:
    """From model type to trainer.

    Libraries are imported by the type that needs them: each costs seconds and hundreds of megabytes.
    """

    trainers: Mapping[str, ModelTrainer]

    @classmethod
    def create(cls, model_type: str) -> ModelTrainer:
        """The trainer of a model type.

        Raises:
            TrainingError: InvalidConfiguration, naming the types there are.
        """
        if model_type not in cls.trainers:
            raise TrainingError(
                Reason.INVALID_CONFIGURATION, f"There is no model type {model_type!r}, only {', '.join(cls.trainers)}."
            )
        return cls.trainers[model_type]


def _train_gru(training: Training) -> TrainedModel:
    from trainingjob_trainer.models.gru.model import train_gru
    from trainingjob_trainer.models.gru.network import check_device

    check_device(training.device)
    return train_gru(training.prepared, training.spec, training.reporter, training.checkpoints)


def _train_xgb(training: Training) -> TrainedModel:
    from trainingjob_trainer.models.xgb.model import train_xgboost

    return train_xgboost(training.prepared, training.spec, training.reporter, training.device)


ModelFactory.trainers = {
    "gru": ModelTrainer(_train_gru, recipe=2),
    "xgb": ModelTrainer(_train_xgb, recipe=2),
}
