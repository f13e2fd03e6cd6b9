"""The files of a trained GRU, in forms that readers old and new can load.

The HDF5 file is written here and not by Keras: the newest Keras writes a configuration that older ones reject, and
imports TensorFlow to do so. What is written is what Keras 2 wrote, which every Keras 3 reads.
"""

import io
import json
import pickle
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import h5py
import numpy as np
from sklearn.preprocessing import MinMaxScaler

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.dataset import HealthScore, ModelFile
from trainingjob_trainer.models.gru.baselines import LinearScore
from trainingjob_trainer.models.gru.network import Shape, backend

_GRU = ("gru_cell/kernel", "gru_cell/recurrent_kernel", "gru_cell/bias")
_DENSE = ("kernel", "bias")


def save_model(shape: Shape, weights: Sequence[Floats], skip: LinearScore | None) -> ModelFile:
    """The whole model for ``keras.models.load_model``, without an optimizer and not compiled.

    Args:
        shape: Of the network.
        weights: Of its prediction network, scale and mean of the target folded in: two GRU layers, the dense one.
        skip: What is added to its output, if anything.
    """
    saved = {"gru": (_GRU, weights[:3]), "gru_1": (_GRU, weights[3:6]), "dense": (_DENSE, weights[6:8])}
    if skip is not None:
        saved["skip"] = (_DENSE, skip.as_dense())
    config = json.dumps(model_config(shape, skip))
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        group = file.create_group("model_weights")
        for attributes in (file.attrs, group.attrs):
            attributes["keras_version"] = version("keras")
            attributes["backend"] = backend()
        file.attrs["model_config"] = config
        group.attrs["layer_names"] = np.array(list(saved), "S")
        for layer, (names, arrays) in saved.items():
            paths = [f"{layer}/{name}:0" for name in names]
            group.create_group(layer).attrs["weight_names"] = np.array(paths, "S")
            for path, values in zip(paths, arrays, strict=True):
                group[layer].create_dataset(path, data=values)
    return ModelFile("model", ".h5", content.getvalue())


def model_config(shape: Shape, skip: LinearScore | None) -> dict[str, Any]:
    """The prediction network in the words that Keras 2 and Keras 3 share; what is not said is the default of both."""
    units, window = shape.units, ["window"]
    layers = [
        _layer("InputLayer", "window", [], batch_input_shape=[None, shape.length, shape.features]),
        _layer("GRU", "gru", window, units=units[0], return_sequences=True),
        _layer("Dropout", "dropout", ["gru"], rate=shape.dropout),
        _layer("GRU", "gru_1", ["dropout"], units=units[1]),
        _layer("Dense", "dense", ["gru_1"], units=1),
    ]
    if skip is not None:
        layers += [
            _layer("Cropping1D", "last_rows", window, cropping=[shape.length - len(skip.weights), 0]),
            _layer("Flatten", "flatten", ["last_rows"]),
            _layer("Dense", "skip", ["flatten"], units=1, trainable=False),
            _layer("Add", "score", ["dense", "skip"]),
        ]
    config = {
        "name": "health_score",
        "layers": layers,
        "input_layers": [["window", 0, 0]],
        "output_layers": [[layers[-1]["name"], 0, 0]],
    }
    return {"class_name": "Functional", "config": config}


def _layer(kind: str, name: str, sources: Sequence[str], **arguments: Any) -> dict[str, Any]:
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, "dtype": "float32", **arguments},
        "inbound_nodes": [[[source, 0, 0, {}] for source in sources]] if sources else [],
    }


def save_scaler(scaler: MinMaxScaler, health: HealthScore) -> list[ModelFile]:
    """The scaler pickled, as readers want it, and as JSON that is safe to read, with the definition of the score."""
    safe_copy = {
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
        ModelFile("scaler-json", ".json", json.dumps(safe_copy, indent=2, allow_nan=False).encode()),
    ]
