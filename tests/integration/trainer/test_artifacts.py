"""The object store on a real S3 server: reading and writing, and its errors."""

import dataclasses
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from minio.commonconfig import ENABLED, Filter
from minio.lifecycleconfig import Expiration, LifecycleConfig, Rule

from cluster.certificates import Authority
from cluster.object_store import ObjectStore as Server
from cluster.processes import free_ports
from integration.trainer.proxy import Proxy, store_behind_proxy
from trainingjob_api.exit_codes import ExitCode
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.object_store import ObjectStore

PATIENCE_SECONDS = 5.0


def store_of(server: Server, bucket: str) -> ObjectStore:
    return ObjectStore.from_environment(server.environment(), bucket, PATIENCE_SECONDS)


@pytest.fixture
def behind_tls(object_store: Server, tmp_path: Path) -> Iterator[tuple[Proxy, dict[str, str]]]:
    """A proxy that speaks TLS, and the environment of a program that trusts its certificate."""
    authority = Authority(tmp_path)
    pair = authority.issue("store", "store", hosts=["127.0.0.1"])
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(pair.public, pair.private)
    with store_behind_proxy(object_store, tls) as (proxy, store):
        address = {"S3_ENDPOINT": f"https://{store.endpoint}", "S3_SECURE": ""}
        yield proxy, store.environment() | address | {"S3_CA_FILE": str(authority.certificate_file)}


def test_an_object_is_read_back_listed_and_removed(object_store: Server, bucket: str) -> None:
    store = store_of(object_store, bucket)
    store.put("runs/PUMP-1/a.json", b"{}")
    store.put("runs/PUMP-1/a.json", b"[1]")
    assert store.get("runs/PUMP-1/a.json") == b"[1]"
    assert store.size("runs/PUMP-1/a.json") == 3
    assert [(entry.key, entry.size) for entry in store.list("runs/")] == [("runs/PUMP-1/a.json", 3)]
    store.delete("runs/PUMP-1/a.json")
    store.delete("runs/PUMP-1/a.json")
    assert store.get("runs/PUMP-1/a.json") is None
    assert store.size("runs/PUMP-1/a.json") is None
    assert store.list("runs/") == []


def test_the_variables_of_minio_are_accepted_too(object_store: Server, bucket: str) -> None:
    environment = {name.replace("S3_", "MINIO_"): value for name, value in object_store.environment().items()}
    environment["MINIO_ENDPOINT"] = f"http://{object_store.endpoint}"
    del environment["MINIO_SECURE"]
    ObjectStore.from_environment(environment, bucket).check()


def test_a_missing_bucket_is_named_with_the_command_that_creates_it(object_store: Server) -> None:
    store = store_of(object_store, "nobody-made-this")
    with pytest.raises(TrainingError, match="init-db --bucket nobody-made-this") as failure:
        store.check()
    assert (failure.value.reason, failure.value.transient) == ("ArtifactStoreFailed", False)
    with pytest.raises(TrainingError, match="init-db --bucket nobody-made-this"):
        store.put("key", b"content")


def test_init_creates_the_bucket_once(object_store: Server) -> None:
    store = store_of(object_store, "made-by-init")
    assert store.create_bucket()
    assert not store.create_bucket()
    store.check()
    object_store.drop_bucket("made-by-init")


def test_checkpoints_expire_and_other_bucket_rules_are_kept(object_store: Server, bucket: str) -> None:
    client = object_store.client()
    theirs = Rule(ENABLED, Filter(prefix="theirs/"), rule_id="theirs", expiration=Expiration(days=7))
    client.set_bucket_lifecycle(bucket, LifecycleConfig([theirs]))
    for _ in range(2):
        assert store_of(object_store, bucket).expire("checkpoints/", days=30)
    found = client.get_bucket_lifecycle(bucket)
    assert found is not None
    rules = {
        rule.rule_filter.prefix: rule.expiration.days for rule in found.rules if rule.rule_filter and rule.expiration
    }
    assert rules == {"theirs/": 7, "checkpoints/": 30}


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_credentials_are_final_and_name_the_secret(object_store: Server, bucket: str, wrong: str) -> None:
    store = store_of(dataclasses.replace(object_store, **{wrong: "wrong-and-long-enough"}), bucket)
    with pytest.raises(TrainingError, match="accessKey and secretKey") as failure:
        store.put("key", b"content")
    assert not failure.value.transient
    assert failure.value.exit_code == ExitCode.ARTIFACT_STORE


def test_a_store_that_is_down_is_retried_and_then_reported_as_transient(object_store: Server, bucket: str) -> None:
    (port,) = free_ports(1)
    nobody = dataclasses.replace(object_store, endpoint=f"127.0.0.1:{port}")
    store = ObjectStore.from_environment(nobody.environment(), bucket, patience_seconds=0.5)
    with pytest.raises(TrainingError, match="is up and reachable") as failure:
        store.put("key", b"content")
    assert failure.value.transient
    assert failure.value.exit_code == ExitCode.ARTIFACT_STORE


def test_tls_to_a_plain_store_is_final_and_says_what_to_set(object_store: Server, bucket: str) -> None:
    store = ObjectStore.from_environment(object_store.environment() | {"S3_SECURE": "true"}, bucket, PATIENCE_SECONDS)
    with pytest.raises(TrainingError, match="set secure to") as failure:
        store.check()
    assert not failure.value.transient


def test_tls_is_checked_against_the_authority_of_the_secret(
    behind_tls: tuple[Proxy, dict[str, str]], bucket: str
) -> None:
    _, environment = behind_tls
    ObjectStore.from_environment(environment, bucket, PATIENCE_SECONDS).check()
    del environment["S3_CA_FILE"]
    with pytest.raises(TrainingError, match=r"ca\.crt") as failure:
        ObjectStore.from_environment(environment, bucket, PATIENCE_SECONDS).check()
    assert not failure.value.transient


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"S3_ENDPOINT": ""}, "S3_ENDPOINT must be set"),
        ({"S3_SECRET_KEY": ""}, "S3_SECRET_KEY must be set"),
        ({"S3_ENDPOINT": "ftp://host"}, "S3_ENDPOINT must be host:port"),
        ({"S3_ENDPOINT": "http://host/path"}, "S3_ENDPOINT must be host:port"),
        ({"S3_SECURE": "maybe"}, "S3_SECURE .* must be true or false"),
        ({"S3_REGION": "over there"}, "S3_REGION .* contains a space"),
        ({"S3_REGION": "here/there"}, "S3_REGION .* must be a name"),
        ({"S3_ENDPOINT": "https://key:secret@host"}, "without keys"),
    ],
)
def test_a_wrong_configuration_names_the_variable(change: dict[str, str], named: str) -> None:
    environment = {"S3_ENDPOINT": "host:9000", "S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret"} | change
    with pytest.raises(TrainingError, match=named) as failure:
        ObjectStore.from_environment(environment, "models")
    assert failure.value.exit_code == ExitCode.CONFIGURATION


@pytest.mark.parametrize("cuts", [1, 3])
def test_a_connection_that_breaks_during_an_upload_is_retried(object_store: Server, bucket: str, cuts: int) -> None:
    content = bytes(range(256)) * 4096
    with store_behind_proxy(object_store) as (proxy, behind):
        proxy.cut_next(cuts, after_bytes=100_000)
        store_of(behind, bucket).put("model", content)
    assert proxy.cuts == cuts
    assert store_of(object_store, bucket).get("model") == content


def refused(status: int, code: str) -> bytes:
    """An answer of an S3 server, after which it closes the connection."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>later</Message></Error>".encode()
    head = f"HTTP/1.1 {status} Refused\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    return head.encode() + f"Content-Length: {len(body)}\r\n\r\n".encode() + body


def without_body(status: int) -> bytes:
    """An answer to HEAD."""
    return f"HTTP/1.1 {status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode()


BUSY = {
    "too many requests": refused(429, "TooManyRequests"),
    "429 and an unknown code": refused(429, "Unknown"),
    "too many requests as 400": refused(400, "TooManyRequests"),
    "operation aborted": refused(409, "OperationAborted"),
    "slow down": refused(503, "SlowDown"),
    "no XML and no UTF-8": refused(502, "é")
    .replace(b"application/xml", b"text/html")
    .replace("é".encode(), b"\xe9\xe8"),
    "broken XML": refused(503, "SlowDown").replace(b"</Error>", b"<Error> "),
}


@pytest.mark.parametrize("kind", BUSY)
def test_a_busy_store_is_retried(object_store: Server, bucket: str, kind: str) -> None:
    with store_behind_proxy(object_store) as (proxy, behind):
        proxy.answer_next(2, BUSY[kind])
        store_of(behind, bucket).put("key", b"content")
    assert proxy.answered == 2
    assert store_of(object_store, bucket).get("key") == b"content"


@pytest.mark.parametrize("status", [409, 429, 503])
def test_a_busy_store_is_retried_if_its_answer_has_no_body(object_store: Server, bucket: str, status: int) -> None:
    store_of(object_store, bucket).put("key", b"content")
    with store_behind_proxy(object_store) as (proxy, behind):
        # With a known region, the first request is the HEAD of the object.
        store = ObjectStore.from_environment(behind.environment() | {"S3_REGION": "here"}, bucket, PATIENCE_SECONDS)
        proxy.answer_next(1, without_body(status))
        assert store.size("key") == len(b"content")
    assert proxy.answered == 1


def test_a_broken_tls_handshake_is_a_transient_error(behind_tls: tuple[Proxy, dict[str, str]], bucket: str) -> None:
    proxy, environment = behind_tls
    proxy.cut_next(2)
    ObjectStore.from_environment(environment, bucket, PATIENCE_SECONDS).check()
    assert proxy.cuts == 2


def test_an_invalid_certificate_is_a_final_error(object_store: Server, bucket: str, tmp_path: Path) -> None:
    nothing = tmp_path / "ca.crt"
    nothing.write_text("not a certificate")
    environment = object_store.environment() | {"S3_SECURE": "true", "S3_CA_FILE": str(nothing)}
    with pytest.raises(TrainingError, match=r"ca\.crt") as failure:
        ObjectStore.from_environment(environment, bucket, PATIENCE_SECONDS).check()
    assert not failure.value.transient


def test_the_message_contains_the_number_of_attempts(object_store: Server, bucket: str) -> None:
    with store_behind_proxy(object_store) as (proxy, behind):
        proxy.answer_next(100, refused(503, "SlowDown"))
        store = ObjectStore.from_environment(behind.environment() | {"S3_REGION": "here"}, bucket, patience_seconds=1)
        with pytest.raises(TrainingError) as failure:
            store.put("key", b"content")
        assert f"after {proxy.answered} tries " in failure.value.message
