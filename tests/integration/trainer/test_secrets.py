"""Any value of a Secret is cleaned or refused with the name of its key, and never shown."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.object_store import ObjectStore as Server
from cluster.postgres import Database
from integration.trainer.installation import Installation, as_environment, small_spec
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.postgres import with_connection
from trainingjob_trainer.storage.server_settings import SECRETS

KEYS = {
    "PGHOST": "host",
    "PGPORT": "port",
    "PGDATABASE": "dbname",
    "PGUSER": "user",
    "PGPASSWORD": "password",
    "PGSSLMODE": "sslmode",
    "S3_ENDPOINT": "endpoint",
    "S3_ACCESS_KEY": "accessKey",
    "S3_SECRET_KEY": "secretKey",
    "S3_REGION": "region",
    "S3_SECURE": "secure",
}
HOSTILE = {
    "a line break inside": "hostile-first\nhostile-second",
    "a header of its own": "hostile-first\r\nX-Hostile: hostile-second",
    "a control character": "hostile-first\x1bhostile-second",
    "a zero-width space": "hostile-first\u200bhostile-second",
    "undecodable bytes": "hostile-first\udcffhostile-second",
    "not ASCII": "hostile-first-ключ-hostile-second",
    "very long": "hostile-first" * 1000,
}
REFUSED = set(HOSTILE) - {"not ASCII", "very long"}


def settings(database: Database, object_store: Server) -> dict[str, str]:
    return database.environment() | object_store.environment() | {"S3_REGION": "us-east-1"}


def use(environment: dict[str, str], bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Connect to both servers like a run, with a short patience."""
    monkeypatch.setattr(os, "environ", os.environ | environment)
    ObjectStore.from_environment(environment, bucket, patience_seconds=0.2).check()
    with_connection(lambda _: None, reason=Reason.REGISTRY_FAILED, patience_seconds=0.2)


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_line_break_at_the_end_of_a_value_is_removed(
    database: Database, object_store: Server, bucket: str, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    environment = {name: value + ending for name, value in settings(database, object_store).items()}
    use(environment, bucket, monkeypatch)


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("variable", KEYS)
def test_a_malicious_value_is_refused_by_its_key_and_never_shown(
    *,
    database: Database,
    object_store: Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    variable: str,
    kind: str,
) -> None:
    caplog.set_level(logging.DEBUG, "trainingjob_trainer")
    environment = settings(database, object_store) | {variable: HOSTILE[kind]}
    with pytest.raises(TrainingError) as failure:
        use(environment, bucket, monkeypatch)
    if kind in REFUSED:
        assert failure.value.exit_code is ExitCode.CONFIGURATION
        assert f"{variable} (key {KEYS[variable]} of" in failure.value.message
    shown = failure.value.message + caplog.text + "".join(capfd.readouterr())
    hidden = [environment[name] for name in SECRETS if name in environment]
    if kind in REFUSED or variable in SECRETS:
        hidden += ["hostile-first", "hostile-second"]
    assert [value for value in hidden if value in shown] == []


@pytest.mark.parametrize("kind", ["a line break inside", "a header of its own", "not ASCII"])
def test_a_pod_with_a_malicious_access_key_reports_only_the_key(
    database: Database, object_store: Server, bucket: str, tmp_path: Path, kind: str
) -> None:
    run = Installation.training_run(small_spec("xgb", bucket))
    environment = settings(database, object_store) | {"S3_ACCESS_KEY": HOSTILE[kind]} | as_environment(run)
    told = tmp_path / "termination-log"
    program = [sys.executable, "-m", "trainingjob_trainer", "run", "--termination-log", told, "--metrics-port", "0"]
    done = subprocess.run(program, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.CONFIGURATION
    facts = json.loads(told.read_text())
    assert facts["reason"] == "InvalidConfiguration"
    assert "key accessKey of the store Secret" in facts["message"]
    shown = told.read_text() + done.stdout + done.stderr
    hidden = ["hostile-first", "hostile-second", environment["S3_SECRET_KEY"], environment["PGPASSWORD"]]
    assert [value for value in hidden if value in shown] == []
