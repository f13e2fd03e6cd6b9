"""Reads the files of a saved GRU without running anything that is stored in them.

``keras.models.load_model`` builds whatever layers a file names. This reader accepts only the network that ``export``
writes, and takes nothing but its sizes and weights from the file.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import keras
import numpy as np
from pydantic import BaseModel, FiniteFloat, ValidationError

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthScore
from trainingjob_trainer.models.gru.baselines import LinearScore
from trainingjob_trainer.models.gru.export import model_config
from trainingjob_trainer.models.gru.network import Shape, prediction_network, set_trained_weights

_UNREADABLE = (AttributeError, IndexError, KeyError, OSError, RuntimeError, TypeError)


@dataclass(frozen=True)
class SavedModel:
    """A network and its shape."""

    network: keras.Model
    shape: Shape


class SavedHealthScore(BaseModel):
    """The definition of the health score, as ``HealthScore`` has it."""

    ranges: Mapping[str, tuple[FiniteFloat, FiniteFloat]]
    constant: FiniteFloat
    neutral: tuple[str, ...]

    def definition(self) -> HealthScore:
        """The definition, to compute scores with."""
        return HealthScore(dict(self.ranges), self.constant, self.neutral)


class SavedScaler(BaseModel):
    """The safe copy of a scaler: a feature is scaled as ``scale * value + min``."""

    features: tuple[str, ...]
    scale: tuple[FiniteFloat, ...]
    min: tuple[FiniteFloat, ...]
    health_score: SavedHealthScore


def read_model(content: bytes) -> SavedModel:
    """Read a network that ``export.save_model`` wrote.

    Raises:
        ValueError: The file is damaged, or has another network.
    """
    shape, weights, skip = read_weights(content)
    network = prediction_network(shape, skip)
    set_trained_weights(network, weights)
    return SavedModel(network, shape)


def read_weights(content: bytes) -> tuple[Shape, list[Floats], LinearScore | None]:
    """Read the shape of such a network, the weights of its GRU layers and its dense one, and its skip.

    Raises:
        ValueError: The file is damaged, or has another network.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _read(json.loads(file.attrs["model_config"]), file["model_weights"])
    except _UNREADABLE as error:
        raise ValueError(f"it is not a valid .h5 file ({type(error).__name__}: {error})") from error


def read_scaler(content: bytes) -> SavedScaler:
    """Read the safe copy of a scaler that ``export.save_scaler`` wrote.

    Raises:
        ValueError: The file is damaged.
    """
    try:
        return SavedScaler.model_validate_json(content)
    except ValidationError as error:
        raise ValueError("its scaler.json is damaged") from error


def _read(config: Mapping[str, Any], weights: h5py.Group) -> tuple[Shape, list[Floats], LinearScore | None]:
    layers = {layer["name"]: layer["config"] for layer in config["config"]["layers"]}
    _, length, features = layers["window"]["batch_input_shape"]
    units = (layers["gru"]["units"], layers["gru_1"]["units"])
    shape = Shape(length, features, units, layers["dropout"]["rate"])
    skip = None
    if "skip" in layers:
        kernel, (constant,) = _arrays(weights["skip"])
        skip = LinearScore(kernel.reshape(length - layers["last_rows"]["cropping"][0], features), float(constant))
    if config != model_config(shape, skip):
        raise ValueError("its network is not one that this trainer saves")
    return shape, [array for name in ("gru", "gru_1", "dense") for array in _arrays(weights[name])], skip


def _arrays(layer: h5py.Group) -> list[Any]:
    return [np.asarray(layer[name]) for name in layer.attrs["weight_names"]]
