"""TrainingJobs on a real node, with the operator as a pod: applied by kubectl, trained, stored, registered."""

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cluster.processes import wait_until
from demo.story import condition, ending, is_over
from support.pumps import MACHINE, PATIENCE_SECONDS, Pumps

pytestmark = pytest.mark.needs("controllers", "node")

CONSUMER = Path(__file__).parents[1] / "integration" / "trainer" / "consumer_program.py"
TRAINING_OF_A_MINUTE = {"epochs": 400, "earlyStoppingPatience": 400, "stepsPerEpoch": 20}
LONG_TRAINING = {"epochs": 10_000, "earlyStoppingPatience": 10_000}


def test_a_gru_trainingjob_shows_progress_and_gives_a_usable_model(pumps: Pumps, tmp_path: Path) -> None:
    pumps.apply("gru", {"epochs": 40})
    training = pumps.wait("progress is seen", lambda job: progress(job).get("epoch", 0) > 0)
    assert training["status"]["phase"] == "Running"
    assert 0 < progress(training)["percentage"] < 100
    status = pumps.wait("the training has ended", is_over)["status"]
    assert (status["phase"], condition({"status": status}, "Succeeded")["reason"]) == ("Succeeded", "Completed"), status
    assert status["metrics"]["rmse"] > 0
    assert {each["name"] for each in status["artifacts"]} >= {"model", "scaler", "report"}
    for artifact in status["artifacts"]:
        content = pumps.read(artifact["uri"].removeprefix(f"s3://{pumps.bucket}/"))
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (artifact["sha256"], artifact["sizeBytes"])

    address = status["registration"]["bucketAddress"]
    with closing(pumps.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT bucket_address, machine_name, model_type, metrics FROM models")
        ((registered, machine, model_type, metrics),) = cursor.fetchall()
        features = metrics["features_used"]
        columns = ", ".join(f'"{name}"' for name in features)
        cursor.execute(f'SELECT {columns} FROM processed_data ORDER BY "timestamp" DESC LIMIT 60')
        rows = np.nan_to_num(np.array(cursor.fetchall()[::-1], dtype=float))
    assert (registered, machine, model_type) == (address, MACHINE, "gru")
    for key in (address, address.replace("weights", "scaler").replace(".h5", ".pkl")):
        (tmp_path / key).write_bytes(pumps.read(key))
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps(
            {
                "bucket_address": address,
                "features_used": features,
                "rows": dict(zip(features, rows.T.tolist(), strict=True)),
            }
        )
    )
    said = subprocess.run(
        [sys.executable, CONSUMER, tmp_path, request],
        env=os.environ | {"KERAS_BACKEND": "tensorflow"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    ((score, again),) = json.loads(said.rpartition("scores:")[2])
    assert np.isfinite(score)
    assert score == again


@pytest.mark.provokes("InsufficientData")
def test_insufficient_data_fails_the_run_once_with_the_reason(pumps: Pumps) -> None:
    pumps.apply("gru", {}, data={"minRows": 100_000})
    job = pumps.wait("the training has ended", is_over)
    assert ending(job) == "InsufficientData"
    assert "100000 are needed" in condition(job, "Failed")["message"]
    assert job["status"]["lastFailure"]["exitCode"] == 11
    assert (pumps.count_jobs(), pumps.count_pods()) == (1, 1)


def test_a_trainer_over_its_memory_limit_fails_with_out_of_memory(pumps: Pumps) -> None:
    pumps.apply("gru", {}, resources={"limits": {"memory": "64Mi"}}, runPolicy={"backoffLimit": 0})
    job = pumps.wait("the training has ended", is_over)
    assert (ending(job), job["status"]["lastFailure"]["exitCode"]) == ("OutOfMemory", 137)
    assert "resources.limits.memory" in condition(job, "Failed")["message"]


def test_a_training_that_is_suspended_ends_in_its_next_attempt(pumps: Pumps) -> None:
    pumps.apply("gru", TRAINING_OF_A_MINUTE)
    pumps.wait("it trains", lambda job: progress(job).get("epoch", 0) > 3)
    pumps.apply("gru", TRAINING_OF_A_MINUTE, runPolicy={"suspend": True})
    pumps.wait("it is suspended", lambda job: condition(job, "Suspended").get("status") == "True")
    wait_until(lambda: pumps.count_pods() == 0, "its pod is gone", patience_seconds=PATIENCE_SECONDS)
    pumps.apply("gru", TRAINING_OF_A_MINUTE)
    ended = pumps.wait("the training has ended", lambda job: job["status"].get("attempt") == 2 and is_over(job))
    assert ending(ended) == "Succeeded"


def test_deleting_a_running_trainingjob_deletes_its_job_and_pod(pumps: Pumps) -> None:
    pumps.apply("gru", LONG_TRAINING)
    pumps.wait("it runs", lambda job: job.get("status", {}).get("phase") == "Running")
    pumps.cluster.run_kubectl("delete", "tj", "pump", f"--namespace={pumps.namespace}")
    wait_until(
        lambda: pumps.count_jobs() + pumps.count_pods() == 0,
        "nothing is left of it",
        patience_seconds=PATIENCE_SECONDS,
    )


def progress(job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = job.get("status", {}).get("progress", {})
    return found
