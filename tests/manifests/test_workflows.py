"""The workflows of GitHub are valid, use pinned actions and least permissions, and run make targets only."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster import cache
from cluster.binaries import go_program
from cluster.fixtures import unavailable
from cluster.programs import run_program

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
each_workflow = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)


@pytest.fixture(scope="session")
def actionlint() -> Path:
    """The program, compiled once."""
    if go_program() is None:
        unavailable("actionlint is a Go module, and there is no Go on PATH")

    def install(folder: Path) -> None:
        run_program(["go", "install", ACTIONLINT], environment={"GOBIN": str(folder), "CGO_ENABLED": "0"})

    return cache.folder("actionlint", cache.digest([ACTIONLINT]), install, lambda: None) / "actionlint"


def steps(workflow: Path) -> Iterator[dict[str, Any]]:
    for job in yaml.safe_load(workflow.read_text())["jobs"].values():
        yield from job["steps"]


@each_workflow
def test_a_workflow_is_valid(actionlint: Path, workflow: Path) -> None:
    run_program([actionlint, "-no-color", workflow])


def test_actionlint_refuses_a_workflow_that_github_refuses(actionlint: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("on: push\njobs: {job: {runs-on: ubuntu-24.04, steps: [{run: 'echo ${{ matrix.missing }}'}]}}\n")
    assert subprocess.run([actionlint, wrong], capture_output=True, check=False).returncode == 1


@each_workflow
def test_every_action_is_pinned_by_its_commit(workflow: Path) -> None:
    lines = re.findall(r"\buses: (.*)", workflow.read_text())
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@each_workflow
def test_a_workflow_has_read_permission_unless_a_job_sets_another(workflow: Path) -> None:
    content = yaml.safe_load(workflow.read_text())
    assert content["permissions"] == {"contents": "read"}
    if workflow.stem == "ci":
        assert [name for name, job in content["jobs"].items() if "permissions" in job] == []


@each_workflow
def test_no_step_keeps_credentials_in_the_checkout(workflow: Path) -> None:
    checkouts = [step for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout@")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@each_workflow
def test_every_make_target_of_a_workflow_exists(workflow: Path) -> None:
    commands = "\n".join(step["run"] for step in steps(workflow) if "run" in step)
    targets = {
        word
        for line in re.findall(r"\bmake ([^\n|>]+)", commands)
        for word in re.findall(r"(?<!\S)[a-z0-9-]+(?!\S)", line)
    }
    assert targets
    for target in targets:
        make("--dry-run", target, "IMAGES=example", "VERSION=0.2.0")


def test_the_node_image_of_each_kubernetes_of_the_matrix_is_pinned() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yaml").read_text())["jobs"]
    for minor in jobs["e2e"]["strategy"]["matrix"]["kubernetes"]:
        said = make("--dry-run", "kind-up", f"KUBERNETES={minor}")
        assert re.search(rf"kindest/node:v{re.escape(minor)}\.\d+@sha256:[0-9a-f]{{64}}", said)


def test_a_kubernetes_without_a_node_image_is_refused() -> None:
    refused = subprocess.run(
        ["make", "kind-up", "KUBERNETES=1.2"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "KUBERNETES=1.2 is none of 1.34 1.35" in refused.stderr


def test_the_notes_of_a_release_are_its_section_of_the_changelog() -> None:
    notes = make("release-notes", "VERSION=0.1.0")
    assert notes.strip().startswith("First version")
    assert "## [" not in notes
    assert "### Fixed" in make("release-notes", "VERSION=0.2.0")


def test_a_release_without_a_section_of_the_changelog_is_refused() -> None:
    refused = subprocess.run(
        ["make", "release-notes", "VERSION=9.9.9"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode != 0
    assert "no section for 9.9.9" in refused.stderr


def make(*arguments: str) -> str:
    return run_program(["make", "--no-print-directory", *arguments], folder=ROOT)
