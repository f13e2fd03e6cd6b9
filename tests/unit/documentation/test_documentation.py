"""The documentation is correct: its generated parts equal the code, and everything that it names exists."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.core
import typer.main

from generate import generated
from trainingjob_api.reasons import EXPLANATIONS, Reason
from trainingjob_trainer.cli import app

ROOT = Path(__file__).parents[3]
PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        *(file.parent / "README.md" for file in ROOT.glob("*/pyproject.toml")),
        *ROOT.glob("docs/**/*.md"),
    ]
)


def _commands(program: str) -> Iterator[tuple[str, list[str]]]:
    """Page and arguments of each command in a console block or in inline code, without comments."""
    for page in PAGES:
        text = page.read_text()
        blocks = "\n".join(re.findall(r"^```(?:console|sh)\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
        inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
        lines = [part.strip() for line in [*blocks.splitlines(), *inline] for part in line.split("#")[0].split("&&")]
        for line in lines:
            words = line.removeprefix("$ ").split()
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                del words[0]
            if words and words[0].removeprefix(".venv/bin/") == program:
                yield page.name, words[1:]


def test_the_generated_parts_are_up_to_date() -> None:
    pages = generated()
    assert len(pages) == len({"api-reference.md", "fleet-api-reference.md", "operator-guide.md", "user-guide.md"})
    for page, text in pages.items():
        assert page.read_text() == text, f"{page.name} is out of date: run `make docs`"


def test_every_reason_is_explained() -> None:
    assert set(EXPLANATIONS) == set(Reason)
    assert all(text.endswith(".") for each in EXPLANATIONS.values() for text in (each.meaning, each.action))


def test_every_make_target_that_is_named_exists() -> None:
    listed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"^  ([a-z0-9-]+) ", listed, re.MULTILINE))
    named = {(page, word) for page, words in _commands("make") for word in words if re.fullmatch("[a-z0-9-]+", word)}
    assert {"demo", "lint", "docs"} <= {word for _, word in named}
    assert {(page, word) for page, word in named if word not in targets} == set()


def test_every_command_and_option_of_the_trainer_exists() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    named = [(page, words) for page, words in _commands("trainingjob-trainer") if words and words != ["--help"]]
    assert {words[0] for _, words in named} >= {"run", "check", "import", "simulate", "init-db"}
    for page, (command, *arguments) in named:
        assert command in group.commands, f"{page}: {command}"
        options = {option for each in group.commands[command].params for option in (*each.opts, *each.secondary_opts)}
        unknown = {word for word in arguments if word.startswith("-")} - options
        assert not unknown, f"{page}: trainingjob-trainer {command} has no {unknown}"


def test_every_target_of_the_dockerfile_that_is_named_exists() -> None:
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE))
    named = {words[words.index("--target") + 1] for _, words in _commands("docker") if "--target" in words}
    assert named
    assert named <= stages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_path_exists(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", re.sub(r"`[^`\n]+`|<code>.*?</code>", "", text))
    assert [link for link in links if not (page.parent / link).exists()] == []
    folders = "|".join(re.escape(entry.name) for entry in ROOT.iterdir() if entry.is_dir() and entry.name != ".venv")
    paths = re.findall(rf"(?<![\w./-])(?:{folders})/[\w./-]*\w", text)
    # Files that git ignores are written by a command.
    written = ("build/", "benchmarks/results")
    assert [path for path in paths if not path.startswith(written) and not (ROOT / path).exists()] == []


def test_the_readme_names_the_module_of_each_public_name() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| (\[[^|]+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows
    for names, modules in rows:
        sources = [(ROOT / path).read_text() for path in re.findall(r"\(([^)]+\.py)\)", modules)]
        for name in re.findall(r"`(\w+)`", names):
            assert any(re.search(rf"^(def|class) {name}\b", source, re.MULTILINE) for source in sources), name


def test_each_distribution_contains_the_license() -> None:
    license_text = (ROOT / "LICENSE").read_text()
    for distribution in ROOT.glob("*/pyproject.toml"):
        assert (distribution.parent / "LICENSE").read_text() == license_text
