"""The cases: what one process measures. ``python -m benchmarks.cases NAME ARGUMENTS-AS-JSON ANSWER-FILE``."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import load_cases, search_cases, whole_cases
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.device import cpu_threads, process_environment

CASES: dict[str, Callable[..., dict[str, Any]]] = {
    "load-reference": load_cases.reference,
    "load-product": load_cases.product,
    "search-reference": search_cases.reference,
    "search-product": search_cases.product,
    "whole-reference": whole_cases.reference,
    "whole-product": whole_cases.product,
}


def gru_case(name: str) -> Callable[..., dict[str, Any]]:
    """A case of the gru, imported when the backend is chosen."""
    from benchmarks import gru_cases, long_cases

    cases: dict[str, Callable[..., dict[str, Any]]] = {
        "gru-reference": gru_cases.reference,
        "gru-same-arithmetic": gru_cases.same_arithmetic,
        "gru-product": gru_cases.product,
        "gru-long-reference": long_cases.reference,
        "gru-long-product": long_cases.product,
    }
    return cases[name]


def main() -> None:
    """Runs one case and writes what it reports."""
    name, arguments, answer = sys.argv[1:]
    if name.startswith("gru-"):
        backend = "tensorflow" if name.endswith("reference") else "jax"
        environment = process_environment(Device("CPU", cpu_threads(os.environ)), {"KERAS_BACKEND": backend})
        # The reference leaves threads to TensorFlow, as a plain program does.
        os.environ.update(environment if backend == "jax" else {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "2"})
    case = gru_case(name) if name.startswith("gru-") else CASES[name]
    Path(answer).write_text(json.dumps(case(**json.loads(arguments))))


if __name__ == "__main__":
    main()
