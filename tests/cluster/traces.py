"""What a node changes on its host. If the traces before and after a run are equal, everything was removed."""

import os
from pathlib import Path

from cluster import cache, host


def traces() -> dict[str, set[str]]:
    """Everything on this machine that a node changes, by kind."""
    hierarchies = [Path(mount.split()[1]) for mount in _mounts() if mount.split()[2].startswith("cgroup")]
    return {
        "processes": {f"{pid} {command}" for pid, command in host.commands() if str(host.FOLDER) in command},
        "mounts": {mount for mount in _mounts() if str(cache.ROOT) in mount},
        "interfaces": set(os.listdir("/sys/class/net")),
        "cgroups": {str(group / host.CGROUP) for group in hierarchies if (group / host.CGROUP).exists()},
        "kernel settings": {f"{name} = {host.setting(name).read_text().strip()}" for name in host.KERNEL_SETTINGS},
        "folders": {str(folder) for folder in (host.FOLDER, *map(Path, host.STRAY_FOLDERS)) if folder.exists()},
    }


def left(before: dict[str, set[str]], after: dict[str, set[str]]) -> list[str]:
    """Describes what exists after and did not exist before."""
    return [f"{kind}: {name}" for kind in before for name in sorted(after[kind] - before[kind])]


def _mounts() -> list[str]:
    return Path("/proc/self/mounts").read_text().splitlines()
