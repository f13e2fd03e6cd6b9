"""Both forms of the network are one function, in units of the score, and fit for the GPU's own kernel."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.gru.baselines import LinearScore
from trainingjob_trainer.models.gru.network import (
    Shape,
    fold,
    prediction_network,
    set_trained_weights,
    training_network,
)
from trainingjob_trainer.models.gru.prediction import permutation_importance, predict, subsample
from trainingjob_trainer.run.device import process_environment

SHAPE = Shape(length=8, features=5, units=(4, 3), dropout=0.2)


def test_the_saved_network_predicts_like_the_trained_one_in_score_units(sequences: Sequences) -> None:
    windows = sequences.training
    trained = training_network(SHAPE, 1, seed=1)
    skip = LinearScore(np.random.default_rng(0).normal(size=(3, 5)), 0.2)
    saved = prediction_network(SHAPE, skip)
    set_trained_weights(saved, fold(trained.get_weights(), scale=0.03, offset=0.004))
    inputs, _ = windows.gather(slice(None))
    learned = np.asarray(trained.predict_on_batch(inputs))[:, 0, 0]
    assert predict(saved, windows) == pytest.approx(skip(windows) + 0.004 + 0.03 * learned, abs=1e-6)


def test_a_chunk_and_a_window_give_the_same_prediction_for_the_first_target(sequences: Sequences) -> None:
    windows = sequences.training
    by_window, by_chunk = (training_network(SHAPE, targets_per_chunk, seed=1) for targets_per_chunk in (1, 6))
    inputs, _ = windows.gather(slice(20))
    longer = np.stack([windows.inputs[start : start + 13] for start in windows.starts[:20]])
    first = np.asarray(by_chunk.predict_on_batch(longer))[:, 0, 0]
    assert first == pytest.approx(np.asarray(by_window.predict_on_batch(inputs))[:, 0, 0], abs=1e-6)


def test_initial_weights_depend_only_on_the_seed() -> None:
    def weights(seed: int) -> list[float]:
        return np.concatenate([values.ravel() for values in training_network(SHAPE, 8, seed).get_weights()]).tolist()

    assert weights(1) == weights(1)
    assert weights(1) != weights(2)


def test_the_gru_layers_allow_the_cudnn_kernel() -> None:
    import keras

    layers = [layer for layer in training_network(SHAPE, 8, seed=1).layers if isinstance(layer, keras.layers.GRU)]
    assert len(layers) == 2
    for layer in layers:
        assert (layer.activation, layer.recurrent_activation) == (keras.activations.tanh, keras.activations.sigmoid)
        assert (layer.dropout, layer.recurrent_dropout) == (0, 0)
        assert (layer.unroll, layer.use_bias, layer.reset_after) == (False, True, True)
        assert layer.cell.reset_after


@pytest.mark.parametrize(
    ("backend", "remedy"), [("", "the target trainer-gpu"), ("tensorflow", "TensorFlow for CUDA.*unset KERAS_BACKEND")]
)
def test_a_gpu_that_the_backend_cannot_use_is_an_error(backend: str, remedy: str) -> None:
    program = """
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.models.gru.network import check_device

check_device(Device("CPU", 1))
try:
    check_device(Device("GPU", 1))
except TrainingError as refusal:
    print(refusal.reason, refusal)
"""
    chosen = process_environment(Device("GPU", 1), {"KERAS_BACKEND": backend})
    environment = os.environ | chosen | {"CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True, text=True)
    assert re.search(f"^AcceleratorMissing .*{remedy}", done.stdout)


def test_only_a_feature_that_the_model_uses_has_importance(sequences: Sequences) -> None:
    skip = LinearScore(np.array([[0.5, 0.0, 0.0, 0.0, 0.0]]), 0.0)
    model = prediction_network(SHAPE, skip)
    set_trained_weights(model, [np.zeros_like(w) for w in training_network(SHAPE, 1, 1).get_weights()])
    importance = permutation_importance(model, sequences.test, ("a", "b", "c", "d", "e"), seed=1)
    assert importance.pop("a") != 0
    assert set(importance.values()) == {0}


def test_windows_are_sampled_evenly_from_first_to_last(sequences: Sequences) -> None:
    windows = sequences.training
    assert subsample(windows, 10_000).tolist() == list(range(len(windows)))
    chosen = subsample(windows, 7)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, len(windows) - 1, 7)
    assert set(np.diff(chosen)) <= {len(windows) // 6 - 1, len(windows) // 6, len(windows) // 6 + 1}
