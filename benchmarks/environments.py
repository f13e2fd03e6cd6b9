"""Environments of the processes that run cases; numpy, Keras and XGBoost read them when they are imported."""

import os
from collections.abc import Mapping

from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.device import cpu_threads, process_environment

REFERENCE = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"}
"""A plain program leaves threads to the libraries."""

REFERENCE_ON_JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}


def of_product() -> Mapping[str, str]:
    """What a run of the product on the CPU sets before it imports these libraries."""
    return process_environment(Device("CPU", cpu_threads(os.environ)), os.environ)
