"""The table of model types. A third type is one package and one entry here."""

from collections.abc import Mapping
from typing import Any

from trainingjob_api.reasons import Reason
from trainingjob_api.spec import TrainingJobSpec
from trainingjob_trainer.data.dataset import Dataset, Telemetry
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.base import ModelType
from trainingjob_trainer.models.gru.model import GruModel
from trainingjob_trainer.models.xgb.model import XgbModel


class ModelFactory:
    """From the name of a model type to the type.

    Attributes:
        types: Every type by its name.
    """

    types: Mapping[str, ModelType[Any]] = {model_type.name: model_type for model_type in (GruModel(), XgbModel())}

    @classmethod
    def create(cls, model_type: str) -> ModelType[Any]:
        """The model type of a name.

        Raises:
            TrainingError: InvalidConfiguration, naming the types there are.
        """
        if model_type not in cls.types:
            raise TrainingError(
                Reason.INVALID_CONFIGURATION, f"There is no model type {model_type!r}, only {', '.join(cls.types)}."
            )
        return cls.types[model_type]


def prepare_data(telemetry: Telemetry, spec: TrainingJobSpec) -> Dataset:
    """Turn the telemetry of one machine into data to train on.

    Args:
        telemetry: As loaded.
        spec: Says which model, how to clean and how to split.

    Returns:
        The dataset of the model type.

    Raises:
        TrainingError: InsufficientData or SingleClass when the data cannot train this model, InvalidConfiguration
            when the spec names columns that are not there; the message says what was found and what to do.
    """
    dataset: Dataset = ModelFactory.create(spec.model.type).prepare(telemetry, spec)
    return dataset
