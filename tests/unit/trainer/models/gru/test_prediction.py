"""Predictions do not depend on the number of windows that are predicted at once."""

import numpy as np
import pytest

from trainingjob_trainer.data.windows import Sequences
from trainingjob_trainer.models.gru.network import Shape, prediction_network
from trainingjob_trainer.models.gru.prediction import predict


def test_a_gpu_predicts_the_same_in_larger_batches(sequences: Sequences, monkeypatch: pytest.MonkeyPatch) -> None:
    network = prediction_network(Shape(8, 5, (4, 3), 0.2), None)
    network.set_weights([np.full(array.shape, 0.1, array.dtype) for array in network.get_weights()])
    on_cpu = predict(network, sequences.training)
    monkeypatch.setattr("trainingjob_trainer.models.gru.prediction.computes_on_gpu", lambda: True)
    assert len(np.unique(on_cpu)) > 64, "more windows than a batch on a CPU"
    np.testing.assert_allclose(predict(network, sequences.training), on_cpu, atol=1e-6)
