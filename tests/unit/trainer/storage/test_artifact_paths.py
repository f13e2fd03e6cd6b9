"""Names of objects and the manifest, on which readers and the registry rely."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainingjob_trainer.data.dataset import ModelFile
from trainingjob_trainer.storage.artifact_paths import (
    ArtifactPaths,
    claim_of,
    claimed_by,
    files_of,
    manifest,
    newest_paths,
    registered_paths,
    train_end_of,
    uploads,
)

NOON = datetime(2025, 8, 31, 12, 0, 5, tzinfo=UTC)
MACHINES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", fullmatch=True).filter(
    lambda name: "weights" not in name and ".h5" not in name
)


@pytest.mark.parametrize(
    ("model_type", "role", "suffix", "key"),
    [
        ("gru", "model", ".h5", "gru_model_weights_MOTOBOMBA-007_2025_08_31_12_00_05.h5"),
        ("gru", "scaler", ".pkl", "gru_model_scaler_MOTOBOMBA-007_2025_08_31_12_00_05.pkl"),
        ("gru", "scaler-json", ".json", "runs/MOTOBOMBA-007/2025_08_31_12_00_05/scaler.json"),
        ("gru", "report", ".html", "runs/MOTOBOMBA-007/2025_08_31_12_00_05/report.html"),
        ("xgb", "model", ".pkl", "xgb_model_MOTOBOMBA-007_2025_08_31_12_00_05.pkl"),
        ("xgb", "model-ubj", ".ubj", "runs/MOTOBOMBA-007/2025_08_31_12_00_05/model.ubj"),
    ],
)
def test_objects_have_the_names_of_the_contract(model_type: str, role: str, suffix: str, key: str) -> None:
    assert ArtifactPaths(model_type, "MOTOBOMBA-007", NOON).key(role, suffix) == key


@pytest.mark.parametrize(("model_type", "suffix"), [("gru", ".h5"), ("xgb", ".pkl")])
def test_a_rejected_model_has_no_name_that_readers_look_for(model_type: str, suffix: str) -> None:
    paths = ArtifactPaths(model_type, "MOTOBOMBA-007", NOON, rejected=True)
    assert paths.address == f"rejected/MOTOBOMBA-007/2025_08_31_12_00_05/model{suffix}"
    assert paths.key("model", suffix) == paths.address


@given(machine=MACHINES)
def test_readers_find_the_scaler_by_the_name_of_the_model(machine: str) -> None:
    paths = ArtifactPaths("gru", machine, NOON)
    assert paths.address.replace("weights", "scaler").replace(".h5", ".pkl") == paths.key("scaler", ".pkl")


@given(machine=MACHINES, model_type=st.sampled_from(["gru", "xgb"]), moment=st.datetimes(datetime(1970, 1, 1)))
def test_the_manifest_is_found_from_the_registered_address(machine: str, model_type: str, moment: datetime) -> None:
    paths = ArtifactPaths(model_type, machine, moment.replace(microsecond=0, tzinfo=UTC))
    assert registered_paths(paths.address, machine, model_type) == paths


@pytest.mark.parametrize(
    "address",
    ["xgb_model_PUMP-2_2025_08_31_12_00_05.pkl", "xgb_model_PUMP_2025.pkl", "model.h5", ""],
)
def test_the_address_of_another_machine_gives_no_manifest(address: str) -> None:
    with pytest.raises(ValueError, match="not the address"):
        registered_paths(address, "PUMP", "xgb")


def test_the_model_is_uploaded_last() -> None:
    files = [
        ModelFile(role, suffix, b"x") for role, suffix in (("model", ".h5"), ("scaler", ".pkl"), ("report", ".html"))
    ]
    stored = uploads(ArtifactPaths("gru", "PUMP", NOON), files)
    assert [upload.artifact.name for upload in stored] == ["report", "scaler", "model"]


@pytest.mark.parametrize(
    ("claims", "ours"),
    [
        (["run-1f0c9a3e-3-1.json"], True),
        (["run-1f0c9a3e-3-1.json", "run-1f0c9a3e-3-12.json"], True),
        (["run-1f0c9a3e-3-1.json", "run-77777777-1-1.json"], False),
        (["run-1f0c9a3e-31-1.json"], False),
        (["manifest.json"], False),
    ],
)
def test_a_timestamp_belongs_to_a_run_if_only_its_attempts_claimed_it(claims: list[str], ours: bool) -> None:
    paths = ArtifactPaths("xgb", "PUMP", NOON)
    keys = [f"{paths.folder}{name}" for name in (*claims, "report.html")]
    assert claim_of("1f0c9a3e-5d1c", 3, 1) == "run-1f0c9a3e-3-1.json"
    assert claimed_by(keys, "xgb", "PUMP", "1f0c9a3e-5d1c", 3) == ([paths] if ours else [])


def test_the_model_is_the_last_key_that_readers_use() -> None:
    paths = ArtifactPaths("gru", "PUMP", NOON)
    assert paths.top_keys == (paths.key("scaler", ".pkl"), paths.address)
    assert ArtifactPaths("gru", "PUMP", NOON, rejected=True).top_keys == ()


def test_the_manifest_names_every_file_with_size_and_hash_and_is_read_back() -> None:
    paths = ArtifactPaths("xgb", "PUMP", NOON)
    stored = uploads(paths, [ModelFile("model", ".pkl", b"abc"), ModelFile("model-ubj", ".ubj", b"")])
    read = files_of(manifest(paths, stored, {"run": {"uid": "1"}}))
    assert read == [upload.artifact for upload in stored]
    assert {file.name: (file.size, file.sha256[:8]) for file in read} == {
        "model": (3, "ba7816bf"),
        "model-ubj": (0, "e3b0c442"),
    }


@pytest.mark.parametrize("content", [b"", b"[]", b'{"files": [{"name": "model"}]}', b'{"files": 3}'])
def test_an_invalid_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="manifest"):
        files_of(content)


def test_the_newest_model_of_a_machine_is_that_of_the_latest_timestamp() -> None:
    addresses = [
        "xgb_model_PUMP_2025_08_31_12_00_05.pkl",
        "xgb_model_PUMP_2025_09_01_00_00_00.pkl",
        "xgb_model_PUMP_2025_02_31_00_00_00.pkl",
        "xgb_model_PUMP_2026_01_01_00_00_00.h5",
        "xgb_model_PUMP_B_2026_01_01_00_00_00.pkl",
        "gru_model_weights_PUMP_2026_01_01_00_00_00.h5",
        "models/mine.pkl",
    ]
    found = newest_paths(addresses, "PUMP", "xgb")
    assert found is not None
    assert found.address == addresses[1]
    assert newest_paths(addresses[3:], "PUMP", "xgb") is None


@pytest.mark.parametrize(
    ("data", "end"),
    [
        ('{"trainEnd": "2025-01-02T03:04:05.600000Z", "end": "2025-02-01T00:00:00Z"}', "2025-01-02T03:04:05.600000"),
        ('{"end": "2025-02-01T00:00:00Z"}', "2025-02-01T00:00:00.000000"),
    ],
)
def test_a_model_without_a_recorded_training_part_counts_as_trained_on_all_its_data(data: str, end: str) -> None:
    assert str(train_end_of(f'{{"data": {data}}}'.encode())) == end


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"data": {}}', b'{"data": 3}', b'{"data": {"end": "x"}}'])
def test_a_manifest_without_the_period_of_its_data_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match="does not say on which data"):
        train_end_of(content)
