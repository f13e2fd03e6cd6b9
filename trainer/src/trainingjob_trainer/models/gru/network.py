"""The GRU network in plain Keras layers: one form to train on chunks, one form to predict from windows and to save.

Both have the same weights in the same order. Importing this imports Keras, so the backend must be chosen before.
"""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import layers

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.models.device import GPU_IMAGE, Device, refuse_silent_cpu
from trainingjob_trainer.models.gru.baselines import LinearScore

_UNSET = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
"""The weights are set later, because Keras would compile a program for each random initialization."""

KEPT_NETWORKS = 4
"""Networks of different shapes that are kept with their compiled programs."""

_TENSORFLOW_IMAGE = "your own, with TensorFlow for CUDA (trainer-gpu has CUDA for JAX only: unset KERAS_BACKEND there),"


@dataclass(frozen=True)
class Shape:
    """What both forms of the network have in common.

    Attributes:
        length: Rows of a window.
        features: Inputs of a row.
        units: Units of the two GRU layers.
        dropout: Share of the first layer's outputs that is dropped in training.
    """

    length: int
    features: int
    units: tuple[int, ...]
    dropout: float


def training_network(shape: Shape, targets_per_chunk: int, seed: int) -> keras.Model:
    """Builds the network that reads chunks: (length + scored - 1, features) to (scored, 1)."""
    inputs = keras.Input((shape.length + targets_per_chunk - 1, shape.features))
    hidden = layers.GRU(shape.units[0], return_sequences=True, **_UNSET)(inputs)
    hidden = layers.Dropout(shape.dropout)(hidden)
    hidden = layers.GRU(shape.units[1], return_sequences=True, **_UNSET)(hidden)
    hidden = layers.Cropping1D((shape.length - 1, 0))(hidden)
    network = keras.Model(inputs, layers.Dense(1, kernel_initializer="zeros")(hidden))
    network.set_weights(initial_weights(shape, seed))
    return network


@functools.lru_cache(maxsize=KEPT_NETWORKS)
def _compiled_network(shape: Shape, targets_per_chunk: int) -> keras.Model:
    network = training_network(shape, targets_per_chunk, seed=0)
    network.compile(optimizer=keras.optimizers.Adam(), loss="mean_squared_error")
    network.optimizer.build(network.trainable_variables)
    return network


def start_training(shape: Shape, targets_per_chunk: int, weights: Sequence[Floats]) -> keras.Model:
    """A training network with these weights and an optimizer at its start, whose variables exist for a checkpoint.

    Trainings of one shape share one network, because Keras compiles its programs anew for each object: one of them
    begins only when the one before is over.
    """
    network = _compiled_network(shape, targets_per_chunk)
    network.set_weights(weights)
    for variable in network.optimizer.variables:
        variable.assign(np.zeros(variable.shape, variable.dtype))
    return network


def seed_dropout(network: keras.Model, seed: int, step: int) -> None:
    """Makes the dropout mask a function of the seed and the step; Keras adds one to the second number each step."""
    for layer in network.layers:
        if isinstance(layer, layers.Dropout) and layer.rate > 0:
            layer.seed_generator.state.assign(np.array([seed, step], np.uint32))


def prediction_network(shape: Shape, skip: LinearScore | None) -> keras.Model:
    """Builds the network that readers load: one window (length, features) to one score, the skip inside."""
    inputs = keras.Input((shape.length, shape.features), name="window")
    hidden = layers.GRU(shape.units[0], return_sequences=True, name="gru", **_UNSET)(inputs)
    hidden = layers.Dropout(shape.dropout, name="dropout")(hidden)
    hidden = layers.GRU(shape.units[1], name="gru_1", **_UNSET)(hidden)
    output = layers.Dense(1, kernel_initializer="zeros", name="dense")(hidden)
    if skip is not None:
        recent = layers.Cropping1D((shape.length - len(skip.weights), 0), name="last_rows")(inputs)
        linear = layers.Dense(1, kernel_initializer="zeros", trainable=False, name="skip")
        output = layers.Add(name="score")([output, linear(layers.Flatten(name="flatten")(recent))])
        linear.set_weights(skip.as_dense())
    return keras.Model(inputs, output, name="health_score")


@functools.lru_cache(maxsize=KEPT_NETWORKS)
def _predicting_network(shape: Shape, rows_of_skip: int | None) -> keras.Model:
    unset = None if rows_of_skip is None else LinearScore(np.zeros((rows_of_skip, shape.features)), 0.0)
    return prediction_network(shape, unset)


def shared_prediction_network(shape: Shape, skip: LinearScore | None) -> keras.Model:
    """The prediction network that all models of one shape share in turn; its weights are those of the last one."""
    network = _predicting_network(shape, None if skip is None else len(skip.weights))
    if skip is not None:
        set_skip(network, skip)
    return network


def initial_weights(shape: Shape, seed: int) -> list[Floats]:
    """Initial weights by the default rules of Keras: Glorot, orthogonal, and biases of 0.

    Drawn by numpy, they are a function of the seed alone, whatever the backend, and compile nothing.
    """
    random = np.random.default_rng(seed)

    def glorot(rows: int, columns: int) -> Floats:
        limit = np.sqrt(6 / (rows + columns))
        return random.uniform(-limit, limit, (rows, columns)).astype(np.float32)

    def orthogonal(rows: int, columns: int) -> Floats:
        factor, triangle = np.linalg.qr(random.normal(size=(columns, rows)))
        return (factor * np.sign(np.diag(triangle))).T.astype(np.float32)

    weights: list[Floats] = []
    inputs = shape.features
    for units in shape.units:
        weights += [glorot(inputs, 3 * units), orthogonal(units, 3 * units), np.zeros((2, 3 * units), np.float32)]
        inputs = units
    return [*weights, glorot(inputs, 1), np.zeros(1, np.float32)]


def fold(weights: Sequence[Floats], scale: float, offset: float) -> list[Floats]:
    """Scale the last layer, so that the output is in units of the score.

    Args:
        weights: Those of a training network: two GRU layers, then kernel and bias of the dense one.
        scale: Units of the score that one unit of the trained output stands for.
        offset: Score of a trained output of 0.
    """
    *recurrent, kernel, bias = weights
    return [*recurrent, kernel * np.float32(scale), bias * np.float32(scale) + np.float32(offset)]


def set_trained_weights(model: keras.Model, weights: Sequence[Floats]) -> None:
    """Gives a prediction network the weights of its GRU layers and its dense one; the skip stays as it is."""
    for name, own in (("gru", weights[:3]), ("gru_1", weights[3:6]), ("dense", weights[6:8])):
        model.get_layer(name).set_weights(own)


def set_skip(model: keras.Model, skip: LinearScore) -> None:
    """Gives a prediction network another skip, over as many rows as the one that it was built with."""
    model.get_layer("skip").set_weights(skip.as_dense())


def backend() -> str:
    """The library that computes: jax or tensorflow."""
    return str(keras.backend.backend())


def check_device(given: Device) -> None:
    """Check that Keras computes on the GPU, if the attempt was given one.

    Raises:
        TrainingError: ``AcceleratorMissing``.
    """
    image = _TENSORFLOW_IMAGE if backend() == "tensorflow" else GPU_IMAGE
    refuse_silent_cpu(given, f"Keras on {backend()}", _processor(), image)


def device() -> str:
    """Description of backend, processor and threads; equal descriptions give bit-identical results."""
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    return f"Keras {keras.version()} on {backend()}, {_processor()}, {threads} threads"


def computes_on_gpu() -> bool:
    """Whether Keras computes on a GPU."""
    return _processor() != "cpu"


def _processor() -> str:
    return str(keras.distribution.list_devices()[0].partition(":")[0]).lower()
