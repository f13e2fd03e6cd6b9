"""The credentials of the operator, and their renewal."""

from pathlib import Path

import pytest
import yaml
from kubernetes.config import incluster_config, kube_config

from trainingjob_operator.controller.connection import Connection, LoginError


def write_kubeconfig(path: Path, token: str) -> None:
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": {"server": "https://example.com/k8s/clusters/one/"}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": "operator"}}],
    }
    path.write_text(yaml.safe_dump(config))


@pytest.fixture
def kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kubeconfig that the environment names."""
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, "first")
    monkeypatch.setenv("KUBECONFIG", str(path))
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
    return path


@pytest.fixture
def service_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The token file of a pod without a kubeconfig."""
    token, certificate = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    certificate.write_text("a certificate")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    return token


def test_a_pod_authenticates_with_its_service_account_and_prints_nothing(
    service_account: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    connection = Connection()
    assert (connection.server, connection.prefix) == ("https://10.0.0.1:443", "")
    assert connection.authorization() == "bearer first"
    assert capfd.readouterr() == ("", "")


def test_the_token_of_a_service_account_is_read_again_at_once(service_account: Path) -> None:
    connection = Connection()
    refused = connection.authorization()
    assert not connection.renew(refused)
    service_account.write_text("second")
    assert connection.renew(refused)
    assert connection.authorization() == "bearer second"
    assert connection.renew(refused), "another call that was refused with the old token has a new one too"


def test_the_token_of_a_kubeconfig_is_read_again_at_once(kubeconfig: Path) -> None:
    connection = Connection()
    refused = connection.authorization()
    write_kubeconfig(kubeconfig, "second")
    assert connection.renew(refused)
    assert connection.authorization() == "Bearer second"
    assert connection.prefix == "/k8s/clusters/one"


def test_the_old_token_is_kept_if_the_new_one_cannot_be_read(service_account: Path) -> None:
    connection = Connection()
    refused = connection.authorization()
    service_account.unlink()
    assert not connection.renew(refused)
    assert connection.authorization() == "bearer first"


def test_without_credentials_the_message_names_what_to_set(service_account: Path) -> None:
    service_account.unlink()
    with pytest.raises(LoginError, match="set KUBECONFIG"):
        Connection()
