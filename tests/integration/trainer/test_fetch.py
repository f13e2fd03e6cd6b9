"""A registered model is fetched completely and verified, or nothing is written."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from integration.trainer.installation import MACHINE, OTHER_UID, Installation, small_spec
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.fleet_run import machine_run_name
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.object_store import ObjectStore
from trainingjob_trainer.storage.registered_rows import RunReference
from trainingjob_trainer.tools.fetch import fetch_model


def trained(installation: Installation, model_type: str = "xgb", runs: Sequence[int] = (1,)) -> None:
    for run in runs:
        spec = small_spec(model_type, installation.bucket)
        result = installation.launch(installation.training_run(spec, OTHER_UID, run=run, adopt=False))
        assert result.exit_code == ExitCode.DONE, result.message


def addresses(installation: Installation) -> list[str]:
    return [address for (address,) in installation.rows("SELECT bucket_address FROM models ORDER BY 1")]


def command(installation: Installation, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    options = ["--machine", MACHINE, "--type", "xgb", "--bucket", installation.bucket, *map(str, arguments)]
    program = [sys.executable, "-m", "trainingjob_trainer", "fetch", *options]
    return subprocess.run(program, capture_output=True, text=True, check=False)


def test_a_gru_model_comes_with_scaler_safe_copy_and_card(installation: Installation, tmp_path: Path) -> None:
    trained(installation, "gru")
    (address,) = addresses(installation)
    folder = fetch_model(MACHINE, "gru", tmp_path / "model", bucket=installation.bucket)
    card = json.loads((folder / "model-card.json").read_text())
    assert {address, address.replace("weights", "scaler").replace(".h5", ".pkl"), "scaler.json"} <= {
        file["name"] for file in card["files"]
    }
    assert {file.name for file in folder.iterdir()} == {file["name"] for file in card["files"]} | {"model-card.json"}
    for file in card["files"]:
        assert sha256((folder / file["name"]).read_bytes()).hexdigest() == file["sha256"]
    assert (card["machine"], card["modelType"], card["run"]["name"]) == (MACHINE, "gru", "itu-415")
    assert card["address"] == f"s3://{installation.bucket}/{address}"
    ((metrics,),) = installation.rows("SELECT metrics FROM models")
    assert (card["metrics"], card["data"], card["versions"]) == (metrics, metrics["data"], metrics["versions"])


def test_the_newest_model_or_that_of_a_run_is_fetched(installation: Installation, tmp_path: Path) -> None:
    trained(installation, runs=(1, 2))
    first, second = addresses(installation)
    newest = command(installation, "--output", tmp_path / "newest")
    assert (newest.returncode, newest.stdout.strip()) == (0, str(tmp_path / "newest")), newest.stderr
    assert (tmp_path / "newest" / second).exists()
    assert command(installation, "--run", "pumps/itu-415#1", "--output", tmp_path / "first").returncode == 0
    assert (tmp_path / "first" / first).exists()
    assert command(installation, "--run", "pumps/itu-415", "--output", tmp_path / "last").returncode == 0
    assert (tmp_path / "last" / second).exists()
    other = command(installation, "--run", "pumps/other", "--output", tmp_path / "other")
    assert (other.returncode, "registered by pumps/other; it has 2" in other.stderr) == (ExitCode.REGISTRY, True)
    assert command(installation, "--run", "itu-415").returncode == 2


def test_the_model_of_a_machine_is_fetched_by_the_run_of_its_fleet(installation: Installation, tmp_path: Path) -> None:
    spec = small_spec("xgb", installation.bucket)
    for fleet, run in (("weekly", 1), ("weekly", 2), ("other", 3)):
        training = installation.training_run(spec, OTHER_UID, run=run, adopt=False)
        result = installation.launch(training.model_copy(update={"name": machine_run_name(fleet, MACHINE)}))
        assert result.exit_code == ExitCode.DONE, result.message
    first, second, _ = addresses(installation)
    assert command(installation, "--fleet", "pumps/weekly", "--output", tmp_path / "last").returncode == 0
    assert (tmp_path / "last" / second).exists()
    assert command(installation, "--fleet", "pumps/weekly#1", "--output", tmp_path / "first").returncode == 0
    assert (tmp_path / "first" / first).exists()
    assert command(installation, "--fleet", "pumps/weekly", "--run", "pumps/weekly").returncode == 2


@pytest.mark.parametrize("fault", ["changed", "missing", "manifest missing", "foreign key"])
def test_a_model_that_cannot_be_verified_writes_nothing(installation: Installation, tmp_path: Path, fault: str) -> None:
    trained(installation)
    (address,) = addresses(installation)
    (manifest,) = (key for key in installation.objects() if key.endswith("/manifest.json"))
    store = ObjectStore.from_environment(os.environ, installation.bucket)
    if fault == "changed":
        store.put(address, b"changed")
    elif fault == "missing":
        store.delete(address)
    elif fault == "manifest missing":
        store.delete(manifest)
    else:
        content = json.loads(installation.read(manifest))
        content["files"][0]["key"] = "runs/ITU-415/../../escaped"
        store.put(manifest, json.dumps(content).encode())
    refused = command(installation, "--output", tmp_path / "model")
    assert refused.returncode == ExitCode.ARTIFACT_STORE, refused.stderr
    assert "error: ArtifactStoreFailed: s3://" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_refused_and_kept(installation: Installation, tmp_path: Path) -> None:
    trained(installation)
    (tmp_path / "model").mkdir()
    fetch_model(MACHINE, "xgb", tmp_path / "model", bucket=installation.bucket)
    before = {file: file.read_bytes() for file in (tmp_path / "model").iterdir()}
    refused = command(installation, "--output", tmp_path / "model")
    assert (refused.returncode, "not an empty folder" in refused.stderr) == (ExitCode.CONFIGURATION, True)
    assert {file: file.read_bytes() for file in (tmp_path / "model").iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(TrainingError, match="cannot be written"):
        fetch_model(MACHINE, "xgb", tmp_path / "file" / "model", bucket=installation.bucket)


def test_the_function_imports_no_library_that_trains(installation: Installation, tmp_path: Path) -> None:
    trained(installation)
    program = (
        "import sys; from pathlib import Path; from trainingjob_trainer.tools.fetch import fetch_model\n"
        "fetch_model(sys.argv[1], 'xgb', Path(sys.argv[2]), bucket=sys.argv[3])\n"
        "print(sorted({'jax', 'keras', 'tensorflow', 'xgboost'} & set(sys.modules)))"
    )
    arguments = [sys.executable, "-c", program, MACHINE, str(tmp_path / "model"), installation.bucket]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr


@pytest.mark.parametrize("text", ["itu-415", "pumps/", "pumps/itu-415#0", "pumps/itu-415#", "a/b/c"])
def test_a_wrong_reference_to_a_run_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="NAMESPACE/NAME#RUN"):
        RunReference.parse(text)
