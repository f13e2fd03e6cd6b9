"""What the demonstration tells a person to do next."""

import shlex
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from demo.next_steps import AFTER_DEPLOYMENT, after_training, exports, told

ROOT = Path(__file__).parents[3]
CLUSTER = Cluster(Path("/my cache/kubeconfig"), Path("/my cache/bin/kubectl"), frozenset())


def test_kubectl_is_put_on_path_only_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert exports(CLUSTER) == ["export KUBECONFIG='/my cache/kubeconfig'", "export PATH='/my cache/bin':$PATH"]
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    assert exports(CLUSTER) == ["export KUBECONFIG='/my cache/kubeconfig'"]


def test_three_commands_and_the_end_are_told() -> None:
    for commands in (AFTER_DEPLOYMENT, after_training("pump")):
        lines = told(commands).splitlines()
        assert [shlex.split(line)[0] for line in lines[1:-1]] == ["kubectl"] * 3
        assert lines[-1] == "To end it: make cluster-down"


def test_the_sample_that_is_named_exists() -> None:
    assert (ROOT / AFTER_DEPLOYMENT[0].split()[-1]).is_file()
