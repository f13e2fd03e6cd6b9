"""A Kubernetes control plane of our own: etcd, API server, controller manager and scheduler as plain processes."""

import base64
import contextlib
import json
import signal
import ssl
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.binaries import Binaries
from cluster.certificates import Authority, KeyPair, signing_keys
from cluster.processes import Server, free_ports, start_server, wait_until

LOOPBACK = "127.0.0.1"
# An unusual range. Its first address is the Service of the API server; the node gives that address to an interface, so
# that pods reach the API server without a proxy.
SERVICE_RANGE = "10.88.65.0/24"
SERVICE_ADDRESS = "10.88.65.1"
SERVICE_PORT = 443
_SERVICE_ACCOUNT_ISSUER = "https://kubernetes.default.svc.cluster.local"
# The controllers that the tests need. Without the node lifecycle controller, simulated nodes need no heartbeat.
_CONTROLLERS = (
    "clusterrole-aggregation",
    "cronjob",
    "deployment",
    "disruption",
    "garbage-collector",
    "job",
    "namespace",
    "pod-garbage-collector",
    "replicaset",
    "resourcequota",
    "root-ca-certificate-publisher",
    "serviceaccount",
    "serviceaccount-token",
    "taint-eviction",
    "ttl-after-finished",
)
# The default rate limits would delay a burst of test Jobs.
_CLIENT_RATE = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclass(frozen=True)
class ControlPlane:
    """A running control plane.

    Attributes:
        folder: its certificates, logs and data.
        url: of the API server.
        etcd_url: of etcd.
        authority: signs further certificates for it.
        kubeconfig: of an administrator.
        has_controllers: whether controller manager and scheduler run.
        servers: its processes.
    """

    folder: Path
    url: str
    etcd_url: str
    authority: Authority
    kubeconfig: Path
    has_controllers: bool
    servers: tuple[Server, ...]


@contextlib.contextmanager
def control_plane_running(
    folder: Path,
    binaries: Binaries,
    address: str = LOOPBACK,
    port: int | None = None,
    api_server_options: Sequence[str] = (),
) -> Iterator[ControlPlane]:
    """Runs a new, empty control plane until the context ends.

    Args:
        folder: an existing folder for its files.
        binaries: controller manager and scheduler are left out when they are not among them.
        address: the IP address that the API server listens on.
        port: its port; a free one by default.
        api_server_options: further options of the API server.

    Raises:
        ServerError: a component did not come up.
    """
    port = port or free_ports(1, address)[0]
    url = f"https://{address}:{port}"
    authority = Authority(folder)
    accounts = signing_keys(folder, "service-accounts")
    admin = authority.issue("admin", "admin", organization="system:masters")
    kubeconfig = write_kubeconfig(folder, url, authority, admin)
    has_controllers = binaries.find("kube-controller-manager") is not None
    with contextlib.ExitStack() as running:
        servers: list[Server] = []

        def start(component: str, *options: str) -> None:
            server = start_server([binaries[component], *options], folder / f"{component}.log")
            # Killed without SIGTERM: their data is not needed, and a graceful shutdown is slow.
            running.callback(server.stop, by=signal.SIGKILL)
            servers.append(server)

        client_port, peer_port, *ports = free_ports(4)
        etcd = f"http://{LOOPBACK}:{client_port}"
        start("etcd", *_etcd_options(folder, etcd, f"http://{LOOPBACK}:{peer_port}"))
        options = _api_server_options(folder, authority, accounts, address, has_controllers=has_controllers)
        start("kube-apiserver", f"--etcd-servers={etcd}", f"--secure-port={port}", *options, *api_server_options)
        trust = ssl.create_default_context(cafile=authority.certificate_file)
        trust.load_cert_chain(admin.public, admin.private)
        wait_until(lambda: _is_ready(url, trust), "the API server is ready", servers)
        if has_controllers:
            for component, secure_port in zip(("kube-controller-manager", "kube-scheduler"), ports, strict=True):
                pair = authority.issue(component, f"system:{component}")
                config = write_kubeconfig(folder, url, authority, pair)
                common = [f"--kubeconfig={config}", "--leader-elect=false", f"--bind-address={LOOPBACK}"]
                own = _controller_options(authority, accounts) if component == "kube-controller-manager" else []
                certificates = f"--cert-dir={folder / component}"
                start(component, *common, f"--secure-port={secure_port}", certificates, *_CLIENT_RATE, *own)
        yield ControlPlane(folder, url, etcd, authority, kubeconfig, has_controllers, tuple(servers))


def write_kubeconfig(folder: Path, url: str, authority: Authority, user: KeyPair) -> Path:
    """Writes a self-contained kubeconfig for the owner of a certificate, into the folder of the certificate."""

    def encoded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    server = {"server": url, "certificate-authority-data": encoded(authority.certificate_file)}
    credentials = {"client-certificate-data": encoded(user.public), "client-key-data": encoded(user.private)}
    name = user.public.stem
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "local",
        "clusters": [{"name": "local", "cluster": server}],
        "users": [{"name": name, "user": credentials}],
        "contexts": [{"name": "local", "context": {"cluster": "local", "user": name}}],
    }
    file = folder / f"{name}.kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config, indent=2))
    return file


def _etcd_options(folder: Path, client_url: str, peer_url: str) -> list[str]:
    return [
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client_url}",
        f"--advertise-client-urls={client_url}",
        f"--listen-peer-urls={peer_url}",
        "--unsafe-no-fsync",
        "--log-level=error",
    ]


def _api_server_options(
    folder: Path, authority: Authority, accounts: KeyPair, address: str, *, has_controllers: bool
) -> list[str]:
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", SERVICE_ADDRESS]
    serving = authority.issue("kube-apiserver", "kube-apiserver", hosts=[*names, LOOPBACK, address])
    to_kubelet = authority.issue("kube-apiserver-to-kubelet", "kube-apiserver", organization="system:masters")
    # The taint would stay, because its controller does not run. Without controllers, no namespace has the service
    # account that the other plug-in requires of every pod.
    refused = ["TaintNodesByCondition"] if has_controllers else ["TaintNodesByCondition", "ServiceAccount"]
    return [
        f"--bind-address={address}",
        f"--advertise-address={address}",
        f"--tls-cert-file={serving.public}",
        f"--tls-private-key-file={serving.private}",
        f"--client-ca-file={authority.certificate_file}",
        f"--cert-dir={folder / 'kube-apiserver'}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--service-account-issuer={_SERVICE_ACCOUNT_ISSUER}",
        f"--service-account-key-file={accounts.public}",
        f"--service-account-signing-key-file={accounts.private}",
        "--allow-privileged=true",
        "--endpoint-reconciler-type=none",
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={authority.certificate_file}",
        f"--kubelet-client-certificate={to_kubelet.public}",
        f"--kubelet-client-key={to_kubelet.private}",
        f"--disable-admission-plugins={','.join(refused)}",
    ]


def _controller_options(authority: Authority, accounts: KeyPair) -> list[str]:
    return [
        f"--controllers={','.join(f'{name}-controller' for name in _CONTROLLERS)}",
        # Without it all controllers share one identity, which has no permissions.
        "--use-service-account-credentials=true",
        f"--root-ca-file={authority.certificate_file}",
        f"--service-account-private-key-file={accounts.private}",
    ]


def _is_ready(url: str, trust: ssl.SSLContext) -> bool:
    with urllib.request.urlopen(f"{url}/readyz", context=trust, timeout=5) as response:
        return bool(response.status == 200)
