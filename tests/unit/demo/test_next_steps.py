"""The next commands that the demonstration prints."""

import shlex
from pathlib import Path

import pytest

from cluster.clusters import Cluster
from demo.next_steps import AFTER_DEPLOYMENT, after_training, exports, told

ROOT = Path(__file__).parents[3]
CLUSTER = Cluster(Path("/my cache/kubeconfig"), Path("/my cache/bin/kubectl"), frozenset())


def test_kubectl_is_added_to_path_only_if_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert exports(CLUSTER) == ["export KUBECONFIG='/my cache/kubeconfig'", "export PATH='/my cache/bin':$PATH"]
    program = tmp_path / "kubectl"
    program.touch(mode=0o755)
    assert exports(CLUSTER) == ["export KUBECONFIG='/my cache/kubeconfig'"]


def test_the_text_has_three_commands_and_how_to_stop_the_cluster() -> None:
    for commands in (AFTER_DEPLOYMENT, after_training("pump")):
        lines = told(commands).splitlines()
        assert [shlex.split(line)[0] for line in lines[1:-1]] == ["kubectl"] * 3
        assert lines[-1] == "To stop the cluster: make cluster-down"


def test_the_sample_in_the_commands_exists() -> None:
    assert (ROOT / AFTER_DEPLOYMENT[0].split()[-1]).is_file()
