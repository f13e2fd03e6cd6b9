"""The contract except the spec: exit codes, metrics, and its few dependencies."""

import ast
import sys
from pathlib import Path
from typing import get_args

import trainingjob_api
from trainingjob_api.exit_codes import FINAL_EXIT_CODES, ExitCode, reason_of
from trainingjob_api.metrics import METRICS, gate_metrics
from trainingjob_api.reasons import Reason
from trainingjob_api.values import ModelType

PACKAGE = Path(trainingjob_api.__file__).parent


def test_it_imports_few_libraries() -> None:
    imported = set()
    for file in PACKAGE.glob("**/*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(str(node.module).partition(".")[0])
    assert imported - sys.stdlib_module_names == {"cronsim", "pydantic", "pythonjsonlogger", "trainingjob_api"}


def test_the_exit_codes_never_change() -> None:
    assert {int(code): reason_of(code) for code in ExitCode if code is not ExitCode.DONE} == {
        1: Reason.TRAINER_ERROR,
        10: Reason.INVALID_CONFIGURATION,
        11: Reason.DATA_UNAVAILABLE,
        12: Reason.ARTIFACT_STORE_FAILED,
        13: Reason.REGISTRY_FAILED,
        14: Reason.EVICTED,
        15: Reason.ACCELERATOR_MISSING,
        16: Reason.GATE_FAILED,
        17: Reason.DIVERGED,
        18: Reason.TOO_MANY_FAILED,
    }
    assert FINAL_EXIT_CODES == (10, 11, 15, 16, 17, 18)
    assert {reason_of(code) for code in (0, 2, 137, 143)} == {Reason.TRAINER_ERROR}


def test_each_reason_of_the_trainer_has_its_exit_code() -> None:
    ends = {reason: int(ExitCode.of(reason)) for reason in Reason if ExitCode.of(reason) is not ExitCode.UNEXPECTED}
    assert ends == {
        Reason.COMPLETED: 0,
        Reason.INVALID_CONFIGURATION: 10,
        Reason.DATA_UNAVAILABLE: 11,
        Reason.INSUFFICIENT_DATA: 11,
        Reason.SINGLE_CLASS: 11,
        Reason.ARTIFACT_STORE_FAILED: 12,
        Reason.REGISTRY_FAILED: 13,
        Reason.SUSPENDED: 14,
        Reason.EVICTED: 14,
        Reason.ACCELERATOR_MISSING: 15,
        Reason.GATE_FAILED: 16,
        Reason.DIVERGED: 17,
        Reason.TOO_MANY_FAILED: 18,
    }


def test_each_metric_is_listed_once_and_explained() -> None:
    names = [(metric.model_type, metric.name) for metric in METRICS]
    assert len(set(names)) == len(names)
    assert all(metric.meaning.endswith(".") for metric in METRICS)
    for model_type in get_args(ModelType):
        assert {(model_type, name) for name in gate_metrics(model_type)} <= set(names)
