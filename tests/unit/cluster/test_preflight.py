"""All obstacles of a machine to the test bed are reported together, each with a solution."""

import dataclasses
from typing import Any

import pytest

from cluster.preflight import Machine, obstacles

EVERY_CAPABILITY = (1 << 41) - 1
WITHOUT_ADMIN = EVERY_CAPABILITY & ~(1 << 21) & ~(1 << 12)
FITTING = Machine(
    is_root=True,
    capabilities=EVERY_CAPABILITY,
    go="1.26.3",
    is_compiled=False,
    has_images=False,
    free_disk=50e9,
    free_memory=8e9,
    read_only=(),
    troubles={},
)
CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "user": ({"is_root": False, "capabilities": 0}, ("not root", "run the command as root")),
    "capabilities": ({"capabilities": WITHOUT_ADMIN}, ("CAP_NET_ADMIN, CAP_SYS_ADMIN", "privileged")),
    "kernel": ({"read_only": ("/proc/sys/kernel/panic",)}, ("/proc/sys/kernel/panic", "privileged")),
    "no Go": ({"go": None}, ("no Go on PATH", "install Go 1.26.0 or newer")),
    "old Go": ({"go": "1.19.8"}, ("Go 1.19.8", "install Go 1.26.0 or newer")),
    "disk": ({"free_disk": 3e9}, ("3.0 GB of disk", "16 GB are needed", "XDG_CACHE_HOME")),
    "memory": ({"free_memory": 1.5e9}, ("1.5 GB of memory", "4 GB are needed")),
    "tried": ({"troubles": {"PostgreSQL does not start": "said initdb"}}, ("PostgreSQL does not start: said initdb",)),
}


def told(changes: dict[str, Any]) -> list[str]:
    return obstacles(dataclasses.replace(FITTING, **changes), "1.26.0")


def test_a_suitable_machine_has_no_obstacles() -> None:
    assert told({}) == []


@pytest.mark.parametrize(("changes", "words"), CASES.values(), ids=CASES)
def test_each_obstacle_is_reported_with_a_solution(changes: dict[str, Any], words: tuple[str, ...]) -> None:
    (obstacle,) = told(changes)
    for word in words:
        assert word in obstacle


def test_all_obstacles_are_reported_together() -> None:
    everything = {name: value for changes, _ in CASES.values() for name, value in changes.items()}
    assert len(told(everything | {"is_root": True})) == len(CASES) - 2


def test_a_run_with_everything_in_the_cache_needs_less_disk() -> None:
    assert told({"free_disk": 3e9, "is_compiled": True, "has_images": True}) == []


@pytest.mark.parametrize("go", ["1.26.0", "1.26.10", "1.27rc1", "2.0"])
def test_versions_of_go_are_compared_as_numbers(go: str) -> None:
    assert told({"go": go}) == []
