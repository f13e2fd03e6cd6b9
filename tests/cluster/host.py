"""What a node changes on its host, and how these changes are reverted.

All changes have fixed names, so that another process can revert them after a crash.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from cluster import cache
from cluster.clusters import ClusterUnavailableError
from cluster.control_plane import SERVICE_ADDRESS
from cluster.processes import wait_until
from cluster.programs import ProgramError, run_program

FOLDER = cache.ROOT / "node"
BRIDGE = "trainingjob0"
BRIDGE_ADDRESS = "10.88.64.1"
POD_SUBNET = "10.88.64.0/24"
CGROUP = "trainingjob-node"
_BEFORE = FOLDER / "before.json"
# The kernel's settings that the kubelet changes.
KERNEL_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)
# Folders that kubelet, containerd and CNI create outside of the folders that they are given.
STRAY_FOLDERS = ("/run/containerd", "/var/lib/cni", "/var/lib/kubelet", "/var/log/containers")


@contextlib.contextmanager
def prepared() -> Iterator[None]:
    """Reserves this machine for a node, of which there can be only one, and makes its bridge and cgroups.

    Raises:
        ClusterUnavailableError: there is a node already, or a node cannot run on this machine.
    """
    if os.geteuid() != 0:
        raise ClusterUnavailableError("a local node needs root")
    with cache.lock("node", _refuse):
        _restore()
        try:
            _prepare()
        except (OSError, ProgramError) as error:
            _restore()
            raise ClusterUnavailableError(f"a local node cannot be made on this machine: {error}") from error
        try:
            yield
        finally:
            _restore()


def recover() -> None:
    """Ends and removes everything that a crashed node has left, and restores the kernel settings.

    Raises:
        ClusterUnavailableError: there is a node whose program still runs.
    """
    with cache.lock("node", _refuse):
        _restore()


def _refuse() -> None:
    raise ClusterUnavailableError(
        f"process {cache.lock_holder('node')} runs a local node, and a machine can have only one; if it is that of "
        "`make cluster-up`, `make cluster-down` ends it"
    )


def _prepare() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    before = {
        "settings": {name: setting(name).read_text() for name in KERNEL_SETTINGS},
        "missing": [folder for folder in STRAY_FOLDERS if not Path(folder).exists()],
    }
    _BEFORE.write_text(json.dumps(before))
    _ip("link", "add", BRIDGE, "type", "bridge")
    _ip("address", "add", f"{BRIDGE_ADDRESS}/24", "dev", BRIDGE)
    # The interface has the address of the Service of the API server, so that pods reach it there.
    _ip("address", "add", f"{SERVICE_ADDRESS}/32", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")
    for version, hierarchy in _cgroup_hierarchies():
        group = hierarchy / CGROUP
        group.mkdir(exist_ok=True)
        if version == "cgroup" and (hierarchy / "cpuset.cpus").exists():
            # Version 1 starts a new group without any processor, in which nothing can run.
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((hierarchy / name).read_text())


def _restore() -> None:
    before = json.loads(_BEFORE.read_text()) if _BEFORE.exists() else None
    _end_processes()
    unmount_below(FOLDER)
    _remove_links()
    for _, hierarchy in _cgroup_hierarchies():
        _remove_cgroup(hierarchy / CGROUP)
    if before:
        for name, value in before["settings"].items():
            setting(name).write_text(value)
        for folder in before["missing"]:
            shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(FOLDER, ignore_errors=True)


def unmount_below(folder: Path) -> None:
    """Unmounts everything that is mounted on the folder or in it, the innermost first."""
    for line in reversed(Path("/proc/self/mounts").read_text().splitlines()):
        # The kernel writes spaces in names as octal escapes.
        point = Path(re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), line.split()[1]))
        if point.is_relative_to(folder):
            run_program(["umount", "--lazy", point])


def processes_of_node() -> set[int]:
    """The processes in the node's cgroups, and the shims of its container runtime."""
    found = set()
    for _, hierarchy in _cgroup_hierarchies():
        for file in (hierarchy / CGROUP).glob("**/cgroup.procs"):
            found |= {int(line) for line in file.read_text().split()}
    return found | {pid for pid, command in commands() if "containerd-shim" in command and str(FOLDER) in command}


def _end_processes() -> None:
    def ended() -> bool:
        left = processes_of_node()
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        return not left

    wait_until(ended, "the processes of the node have ended", patience_seconds=20)


def commands() -> Iterator[tuple[int, str]]:
    """Every process of the machine, with its command line."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            yield int(folder.name), (folder / "cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue


def _remove_links() -> None:
    for link in Path("/sys/class/net").glob(f"{BRIDGE}/brif/*"):
        # It may have been removed together with its pod.
        with contextlib.suppress(ProgramError):
            _ip("link", "delete", link.name)
    if Path(f"/sys/class/net/{BRIDGE}").exists():
        _ip("link", "delete", BRIDGE)


def _remove_cgroup(group: Path) -> None:
    folders = sorted((path for path in group.glob("**/") if path.is_dir()), key=lambda path: -len(path.parts))
    for folder in folders:
        # A group stays busy for a moment after its last process has ended.
        for _ in range(50):
            try:
                folder.rmdir()
                break
            except OSError:
                time.sleep(0.02)


def _cgroup_hierarchies() -> list[tuple[str, Path]]:
    """The type, `cgroup` or `cgroup2`, and the folder of each hierarchy."""
    mounts = (line.split() for line in Path("/proc/self/mounts").read_text().splitlines())
    return [(mount[2], Path(mount[1])) for mount in mounts if mount[2] in ("cgroup", "cgroup2")]


def written() -> list[Path]:
    """The kernel files that a node writes."""
    return [*map(setting, KERNEL_SETTINGS), *(hierarchy for _, hierarchy in _cgroup_hierarchies())]


def setting(name: str) -> Path:
    """The file of a kernel setting."""
    return Path("/proc/sys") / name


def _ip(*arguments: str) -> None:
    run_program(["ip", *arguments])
