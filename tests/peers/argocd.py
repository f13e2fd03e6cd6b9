"""Argo CD as processes beside a control plane."""

import contextlib
import json
import logging
import os
import secrets
import signal
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cluster import cache
from cluster.clusters import Cluster
from cluster.control_plane import LOOPBACK
from cluster.definitions import wait_established
from cluster.go_modules import compile_packages, copy_module_files, module_key
from cluster.processes import Server, free_ports, start_server, wait_until
from cluster.programs import run_program

NAMESPACE = "argocd"
_VERSION = "3.6.1"
_MODULE = "github.com/argoproj/argo-cd/v3"
_SOURCE = Path(__file__).parent / "go" / "argocd"
# Its go.mod needs a newer Go than Kubernetes does. Go downloads that version itself.
_GO = {"GOTOOLCHAIN": "auto"}
_PROGRAMS = ("argocd-application-controller", "argocd-repo-server", "argocd-server", "kustomize", "redis")
_COMPONENT = Path(__file__).parents[2] / "manifests" / "argocd"

logger = logging.getLogger(__name__)


def built_argocd() -> Path:
    """A folder with the programs of Argo CD and its manifests, compiled when they are not in the cache.

    Raises:
        ProgramError: there is no Go, or it failed.
    """

    def waiting() -> None:
        logger.info("Waiting for another program that is compiling Argo CD")

    return cache.folder("argocd", module_key(_SOURCE, _GO), _build, waiting)


def _build(folder: Path) -> None:
    # Without its version the server refuses the command line program.
    variables = {f"{_MODULE}/common.version": _VERSION}
    compile_packages("Argo CD", _SOURCE, ["."], folder, variables=variables, minutes=6, environment=_GO)
    for program in _PROGRAMS:
        (folder / program).symlink_to("argocd")
    patterns = ["manifests/crds/*-crd.yaml", "manifests/base/config/argocd-*.yaml", "hack/*-wrapper.sh"]
    copy_module_files(_SOURCE, _MODULE, patterns, folder, environment=_GO)
    # The repository server calls them for every commit, whether signed or not.
    for script in (folder / "hack").iterdir():
        script.chmod(0o755)


@dataclass(frozen=True)
class ArgoCD:
    """A running Argo CD.

    Attributes:
        cluster: where it is installed, and where it syncs to.
    """

    cluster: Cluster
    _built: Path
    _home: Path
    _address: str

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Calls its API, as its user interface does.

        Args:
            method: of HTTP.
            path: below `/api/v1/`.
            body: as JSON.
        """
        request = urllib.request.Request(f"http://{self._address}/api/v1/{path}", method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, json.dumps(body).encode() if body else None, timeout=60) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def run(self, *arguments: str) -> str:
        """Runs its command line program and returns what it prints.

        Raises:
            ProgramError: it failed.
        """
        options = ["--server", self._address, "--plaintext", "--config", str(self._home / "config")]
        return run_program([self._built / "argocd", *arguments, *options], environment={"HOME": str(self._home)})


@contextlib.contextmanager
def argocd_running(cluster: Cluster, built: Path, folder: Path) -> Iterator[ArgoCD]:
    """Installs Argo CD with the health and the actions of this project, and runs it until the context ends.

    Args:
        cluster: where it is installed.
        built: its programs and manifests.
        folder: an existing, empty folder for its files.
    """
    _install(cluster, built, folder)
    home = folder / "home"
    for name in ("tls", "ssh", "gpg/keys", "gpg/source", "plugins", "static", "tmp"):
        (home / name).mkdir(parents=True)
    environment = {
        "PATH": f"{built}:{built / 'hack'}:{os.environ['PATH']}",
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "KUBECONFIG": str(cluster.kubeconfig),
        # The cluster of the kubeconfig is https://kubernetes.default.svc for Applications.
        "ARGOCD_FAKE_IN_CLUSTER": "true",
        "ARGOCD_TLS_DATA_PATH": str(home / "tls"),
        "ARGOCD_SSH_DATA_PATH": str(home / "ssh"),
        "ARGOCD_GNUPGHOME": str(home / "gpg" / "keys"),
        "ARGOCD_GPG_DATA_PATH": str(home / "gpg" / "source"),
        "ARGOCD_GPG_ENABLED": "false",
        "ARGOCD_PLUGINSOCKFILEPATH": str(home / "plugins"),
        "ARGOCD_ASK_PASS_SOCK": str(home / "askpass.sock"),
        "HOSTNAME": "argocd-application-controller-0",
    }
    redis, repository, repository_metrics, controller_metrics, api, api_metrics = free_ports(6)
    common = [f"--kubeconfig={cluster.kubeconfig}", f"--namespace={NAMESPACE}", f"--redis={LOOPBACK}:{redis}"]
    with contextlib.ExitStack() as running:
        servers: list[Server] = []

        def start(program: str, *options: str) -> None:
            server = start_server([built / program, *options], folder / f"{program}.log", environment=environment)
            running.callback(server.stop, by=signal.SIGKILL)
            servers.append(server)

        start("redis", f"{LOOPBACK}:{redis}")
        start(
            "argocd-repo-server",
            f"--redis={LOOPBACK}:{redis}",
            f"--address={LOOPBACK}",
            f"--port={repository}",
            f"--metrics-address={LOOPBACK}",
            f"--metrics-port={repository_metrics}",
        )
        source = f"--repo-server={LOOPBACK}:{repository}"
        start("argocd-application-controller", *common, source, f"--metrics-port={controller_metrics}")
        start(
            "argocd-server",
            *common,
            source,
            "--insecure",
            "--disable-auth",
            f"--address={LOOPBACK}",
            f"--port={api}",
            f"--metrics-port={api_metrics}",
            f"--staticassets={home / 'static'}",
        )
        for port in (api, controller_metrics):
            wait_until(lambda port=port: _answers(port), f"Argo CD answers on port {port}", servers)  # type: ignore[misc]
        yield ArgoCD(cluster, built, home, f"{LOOPBACK}:{api}")


def _install(cluster: Cluster, built: Path, folder: Path) -> None:
    files = [f"--filename={file}" for file in sorted((built / "manifests" / "crds").iterdir())]
    cluster.run_kubectl("apply", "--server-side", *files)
    wait_established(cluster)
    cluster.run_kubectl("create", "namespace", NAMESPACE)
    resources = []
    for file in sorted((built / "manifests" / "base" / "config").iterdir()):
        (folder / file.name).write_bytes(file.read_bytes())
        resources.append(file.name)
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": NAMESPACE,
        "resources": resources,
        "components": [os.path.relpath(_COMPONENT, folder)],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    cluster.run_kubectl("apply", "--server-side", "-k", str(folder))
    # The controller would fail if it came up before the server has made one.
    key = json.dumps({"stringData": {"server.secretkey": secrets.token_urlsafe(32)}})
    cluster.run_kubectl(
        "patch", "secret", "argocd-secret", f"--namespace={NAMESPACE}", "--type=merge", f"--patch={key}"
    )


def _answers(port: int) -> bool:
    with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/healthz", timeout=5) as answer:
        return bool(answer.status == 200)


class Repository:
    """A Git repository that Argo CD reads.

    Attributes:
        folder: its working tree.
        url: for Argo CD.
    """

    def __init__(self, folder: Path) -> None:
        """Makes an empty repository in a new folder."""
        folder.mkdir()
        self.folder, self.url = folder, f"file://{folder}"
        self._git("init", "--quiet", "--initial-branch=main")

    def write(self, path: str, *documents: Mapping[str, Any]) -> None:
        """Writes objects to a file."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False))

    def commit(self) -> str:
        """Commits everything and returns the name of the commit."""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message=change")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        author = ["-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false"]
        return run_program(["git", *author, *arguments], folder=self.folder)
