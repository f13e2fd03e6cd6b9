"""A training that is killed or stopped continues from its checkpoint, and gives exactly the same weights."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore as Server
from trainingjob_api.exit_codes import ExitCode
from trainingjob_trainer.storage.object_store import ObjectStore

PROGRAM = Path(__file__).with_name("training_program.py")


def start(server: Server, bucket: str, attempt: int, backend: str = "jax") -> subprocess.Popen[str]:
    environment = {**os.environ, **server.environment(), "KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["TRAINER_CACHE_DIR"] = str(Path(tempfile.gettempdir()) / "trainingjob-cache")
    command = [sys.executable, str(PROGRAM), bucket, str(attempt)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)


def finish(training: subprocess.Popen[str]) -> list[str]:
    """Lets it run to its end; returns the lines of its output."""
    said, _ = training.communicate("\n" * 9)
    return said.splitlines()


def until_epoch(training: subprocess.Popen[str], epoch: int) -> None:
    """Lets it run until it waits after an epoch."""
    assert training.stdin is not None
    assert training.stdout is not None
    for line in training.stdout:
        if line == f"epoch {epoch}\n":
            return
        training.stdin.write("\n")
        training.stdin.flush()
    pytest.fail(f"the training ended before epoch {epoch}")


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_a_killed_or_stopped_training_gives_identical_weights(object_store: Server, bucket: str, backend: str) -> None:
    whole = finish(start(object_store, bucket, 9, backend))
    store = ObjectStore.from_environment(object_store.environment(), bucket)
    for stored in store.list("checkpoints/"):
        store.delete(stored.key)

    killed = start(object_store, bucket, 1, backend)
    until_epoch(killed, 2)
    killed.kill()
    assert killed.wait() == -signal.SIGKILL

    stopped = start(object_store, bucket, 2, backend)
    until_epoch(stopped, 2)
    stopped.terminate()
    assert finish(stopped) == ["Suspended"]
    assert stopped.returncode == ExitCode.STOPPED

    keys = [stored.key for stored in store.list("checkpoints/")]
    assert keys == [f"checkpoints/pumps/health/{'a' * 64}/01234567-1-{attempt}" for attempt in (1, 2)]
    assert finish(start(object_store, bucket, 3, backend)) == whole[2:]
    assert whole[-1].startswith("model ")


def test_a_training_on_jax_does_not_import_tensorflow(object_store: Server, bucket: str) -> None:
    assert "imported jax" in finish(start(object_store, bucket, 1))
