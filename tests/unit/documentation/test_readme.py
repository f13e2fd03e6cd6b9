"""The README says what is so: its tables follow the code, and what it points to is there."""

import re
import subprocess
from pathlib import Path

from trainingjob_operator.configuration import Configuration
from trainingjob_operator.reasons import Reason

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def test_it_lists_every_variable_of_the_operator_with_its_default_and_meaning() -> None:
    for variable, default, meaning in Configuration.table():
        shown = "must be set" if default is None else f"`{default}`" if default else ""
        assert f"| `{variable}` | {shown} | {meaning} |" in README


def test_it_explains_every_reason_once() -> None:
    table = README[README.index("| reason |") : README.index("Any edit of a failed")]
    explained = re.findall(r"\b[A-Z][A-Za-z]+\b", " ".join(row.split("|")[1] for row in table.splitlines()[2:] if row))
    assert sorted(explained) == sorted(Reason)


def test_its_links_lead_somewhere() -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_it_names_every_public_name_where_it_is_defined() -> None:
    rows = re.findall(r"^\| (`[^|]+`) \| (\[[^|]+) \|$", README, re.MULTILINE)
    for names, modules in rows:
        sources = [(ROOT / path).read_text() for path in re.findall(r"\(([^)]+\.py)\)", modules)]
        for name in re.findall(r"`(\w+)`", names):
            assert any(re.search(rf"^(def|class) {name}\b", source, re.MULTILINE) for source in sources), name


def test_every_make_target_that_it_names_is_there() -> None:
    listed = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for line in re.findall(r"^make ([a-z -]+)", README, re.MULTILINE):
        for target in line.split():
            assert re.search(rf"^  {target}\b", listed, re.MULTILINE), target
