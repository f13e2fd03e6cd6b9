"""The container runtime of the node: containerd from Debian, with its own folders and network."""

import contextlib
import hashlib
import io
import json
import logging
import platform
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from cluster import cache
from cluster.clusters import ClusterUnavailableError
from cluster.host import BRIDGE, BRIDGE_ADDRESS, CGROUP, FOLDER, POD_SUBNET
from cluster.processes import Server, start_server, wait_until
from cluster.programs import ProgramError, run_program

SOCKET = FOLDER / "containerd.sock"
_PAUSE_IMAGE = "docker.io/library/pause:local"
# Kept between runs, because loading images is slow.
_CONTENT = cache.ROOT / "containerd"
_LOADED = _CONTENT / "loaded.json"
_IN_USE = _CONTENT / "in-use"
_CONFIGURATION = """
version = 2
root = "{content}"
state = "{folder}/containerd"
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.internal.v1.restart", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]
[debug]
  level = "warn"
[grpc]
  address = "{socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Where root may not lower a process's oom_score_adj, runc dies of trying.
  restrict_oom_score_adj = true
  disable_apparmor = true
  tolerate_missing_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
"""

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def containerd_running(pause: Path) -> Iterator[Server]:
    """Runs containerd until the context ends.

    Args:
        pause: the program that holds a pod's namespaces.

    Raises:
        ClusterUnavailableError: containers cannot run on this machine.
        ServerError: containerd did not come up.
    """
    if _IN_USE.exists():
        # The last run crashed, and its metadata names containers that do not exist.
        shutil.rmtree(_CONTENT)
    _CONTENT.mkdir(parents=True, exist_ok=True)
    _IN_USE.touch()
    (FOLDER / "cni").mkdir()
    (FOLDER / "cni" / "bridge.conflist").write_text(json.dumps(_network()))
    configuration = FOLDER / "containerd.toml"
    configuration.write_text(_CONFIGURATION.format(content=_CONTENT, folder=FOLDER, socket=SOCKET, pause=_PAUSE_IMAGE))
    server = start_server(["containerd", "--config", configuration], FOLDER / "containerd.log")
    try:
        wait_until(_answers, "containerd answers", [server])
        _load_pause(pause)
        _probe()
        try:
            yield server
        finally:
            # If it does not answer, the state of its files is unknown.
            with contextlib.suppress(ProgramError):
                _remove_containers()
                _IN_USE.unlink()
    finally:
        server.stop()


def has_images() -> bool:
    """Whether images were loaded in an earlier run, and are in the cache."""
    return _LOADED.exists()


def load_images(identifiers: Mapping[str, str], export: Callable[[str, Path], None]) -> None:
    """Loads images into the running containerd, unless it already has them.

    Args:
        identifiers: name of each image to a digest of its content.
        export: writes the archive of an image.
    """
    loaded = json.loads(_LOADED.read_text()) if _LOADED.exists() else {}
    for name, identifier in identifiers.items():
        if loaded.get(name) == identifier:
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(dir=FOLDER) as folder:
            archive = Path(folder) / "image.tar"
            export(name, archive)
            outdated = _images().get(f"docker.io/library/{name}")
            _ctr("images", "import", str(archive))
        # After the import, so that layers which both images share are kept.
        images = _images()
        leftovers = [other for other, digest in images.items() if digest == outdated]
        if leftovers and images[f"docker.io/library/{name}"] != outdated:
            _ctr("images", "remove", *leftovers)
        loaded[name] = identifier
        _LOADED.write_text(json.dumps(loaded))
        logger.info("Loaded %s in %.0f seconds", name, time.monotonic() - started)


def _remove_containers() -> None:
    """Removes the containers that have ended, as the kubelet does while it runs."""
    containers = _ctr("containers", "list", "--quiet").split()
    tasks = _ctr("tasks", "list", "--quiet").split()
    if tasks:
        _ctr("tasks", "delete", "--force", *tasks)
    if containers:
        _ctr("containers", "delete", *containers)


def _probe() -> None:
    """Runs a container that ends at once.

    Raises:
        ClusterUnavailableError: containers cannot run on this machine; with the error of runc.
    """
    try:
        _ctr("run", "--rm", f"--cgroup={CGROUP}/probe", _PAUSE_IMAGE, "probe", "/pause", "now")
    except ProgramError as error:
        raise ClusterUnavailableError(f"containers do not run on this machine: {error}") from error


def _images() -> dict[str, str]:
    """The digest of each image that containerd has, by its names."""
    rows = (line.split() for line in _ctr("images", "list").splitlines()[1:])
    return {row[0]: row[2] for row in rows}


def _load_pause(program: Path) -> None:
    """Makes an image of one program, as the archive that `docker save` would write, and loads it."""
    layer = _tar({"pause": (program.read_bytes(), 0o755)})
    configuration = json.dumps(
        {
            "architecture": platform.machine().replace("x86_64", "amd64").replace("aarch64", "arm64"),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": [_PAUSE_IMAGE], "Layers": ["layer.tar"]}]
    files = {"config.json": configuration, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    archive = FOLDER / "pause.tar"
    archive.write_bytes(_tar({name: (content, 0o644) for name, content in files.items()}))
    _ctr("images", "import", str(archive))


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _network() -> dict[str, Any]:
    addresses = {
        "type": "host-local",
        "subnet": POD_SUBNET,
        "gateway": BRIDGE_ADDRESS,
        "dataDir": str(FOLDER / "addresses"),
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "ipMasq": False, "ipam": addresses}
    return {"cniVersion": "0.4.0", "name": "trainingjob", "plugins": [bridge]}


def _answers() -> bool:
    with socket.socket(socket.AF_UNIX) as containerd:
        containerd.connect(str(SOCKET))
    _ctr("version")
    return True


def _ctr(*arguments: str) -> str:
    return run_program(["ctr", "--address", SOCKET, "--namespace", "k8s.io", *arguments])
