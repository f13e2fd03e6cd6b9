"""The files of a trained GRU, in forms that readers old and new can load."""

import json
import logging
import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import keras
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.prepared import HealthScore, ModelFile

COMMON_ARGUMENTS = frozenset(
    ("name", "trainable", "units", "activation", "recurrent_activation", "use_bias", "return_sequences", "reset_after")
) | {"rate", "cropping", "data_format", "sparse", "ragged"}
"""Arguments of layers that Keras 2 and every Keras 3 know; all others have the defaults of both."""


def save_model(model: keras.Model) -> ModelFile:
    """The whole model as HDF5 for ``keras.models.load_model``, without an optimizer and not compiled.

    The configuration inside is written as Keras 2 wrote it, which Keras 3 reads too, whatever it writes itself.
    """
    with TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        with _without_advice():
            model.save(path, include_optimizer=False)
        with h5py.File(path, "r+") as file:
            written = json.loads(file.attrs["model_config"])
            file.attrs["model_config"] = json.dumps(portable_config(written))
        return ModelFile("model", ".h5", path.read_bytes())


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keras advises against HDF5 at each save; the readers ask for it."""
    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def portable_config(written: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrites the configuration of a functional model by Keras 3 in the words that Keras 2 shares with it."""
    config = written["config"]
    return {
        "class_name": "Functional",
        "config": {
            "name": config["name"],
            "layers": [_portable_layer(layer) for layer in config["layers"]],
            "input_layers": [config["input_layers"]],
            "output_layers": [config["output_layers"]],
        },
    }


def _portable_layer(layer: Mapping[str, Any]) -> dict[str, Any]:
    arguments = {name: value for name, value in layer["config"].items() if name in COMMON_ARGUMENTS}
    arguments["dtype"] = "float32"
    if layer["class_name"] == "InputLayer":
        arguments["batch_input_shape"] = layer["config"]["batch_shape"]
    sources = [[*history, {}] for node in layer["inbound_nodes"] for history in _histories(node["args"])]
    return {
        "class_name": layer["class_name"],
        "config": arguments,
        "name": layer["name"],
        "inbound_nodes": [sources] if sources else [],
    }


def _histories(argument: Any) -> list[list[Any]]:
    """Layer, node and tensor of every input in the arguments of a call."""
    if isinstance(argument, list):
        return [history for item in argument for history in _histories(item)]
    return [argument["config"]["keras_history"]]


def save_scaler(scaler: MinMaxScaler, health: HealthScore) -> list[ModelFile]:
    """The scaler pickled, as readers want it, and as JSON that is safe to read, with the definition of the score."""
    twin = {
        "features": list(scaler.feature_names_in_),
        "data_min": scaler.data_min_.tolist(),
        "data_max": scaler.data_max_.tolist(),
        "scale": scaler.scale_.tolist(),
        "min": scaler.min_.tolist(),
        "health_score": {
            "ranges": {name: list(limits) for name, limits in health.ranges.items()},
            "constant": health.constant,
            "neutral": list(health.neutral),
        },
    }
    return [
        ModelFile("scaler", ".pkl", pickle.dumps(scaler, protocol=4)),
        ModelFile("scaler-json", ".json", json.dumps(twin, indent=2, allow_nan=False).encode()),
    ]
