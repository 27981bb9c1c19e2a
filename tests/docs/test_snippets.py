"""Everything a page tells people to type: Python that runs, or imports that exist; commands whose options there are."""

import ast
import importlib
import re
import shlex
import textwrap
from pathlib import Path

import pytest
import typer
import yaml

from friedel.bcdi.scans.beamline import SHIPPED, Beamline
from friedel.cli.main import app
from friedel.cli.plan_kinds import KINDS
from friedel.core.errors import PlanError

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^ *```(\w+)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def _blocks(path, *kinds):
    return [text for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if kind in kinds]


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "python")], ids=lambda path: path.stem)
def test_python_is_python_and_what_it_imports_is_there(path):
    for text in _blocks(path, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("friedel"):
                module = importlib.import_module(node.module)
                absent = [a.name for a in node.names if not hasattr(module, a.name)]
                assert absent == [], f"{path.name}: {node.module} has no {absent}"


FOREIGN = ("live", "service")
"""Pages whose YAML is another program's: a detector's streaming service, and Prometheus."""


@pytest.mark.parametrize("path", [p for p in PAGES if _blocks(p, "yaml")], ids=lambda path: path.stem)
def test_yaml_is_a_plan_a_part_of_one_or_a_beamline(path):
    blocks = [yaml.safe_load(textwrap.dedent(text)) for text in _blocks(path, "yaml") if path.stem not in FOREIGN]
    whole = next((block for block in blocks if "sample_circles" in block), {})
    for block in blocks:
        if "scanned" in block:
            block = {"layout": whole["layout"] | block}
        if block.keys() <= Beamline.model_fields.keys():
            Beamline.read(whole | block)
            continue
        kinds = [kind for kind in KINDS if block.keys() <= kind.model_fields.keys()]
        assert kinds, f"{path.name}: no plan has all of {sorted(block)}"
        refused = []
        for kind in kinds:
            try:
                kind.read(block)
            except PlanError as error:
                refused.append(f"{kind.__name__}: {error}")
        assert len(refused) < len(kinds), f"{path.name}: {refused}"


def _lines(path):
    for text in _blocks(path, "bash", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0].endswith("friedel"):
                yield words[1:]


@pytest.mark.parametrize("path", [p for p in PAGES if list(_lines(p))], ids=lambda path: path.stem)
def test_commands_and_their_options_exist(path):
    root = typer.main.get_command(app)
    for words in _lines(path):
        command, rest = root, list(words)
        while hasattr(command, "commands") and rest and not rest[0].startswith("-"):
            name = rest.pop(0)
            assert name in command.commands, f"{path.name}: no command friedel {' '.join(words)}"
            command = command.commands[name]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"--help"}
        asked = {word.split("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
        assert asked <= known, f"{path.name}: friedel {' '.join(words)} knows no {asked - known}"


def test_beamlines_that_pages_name_exist_and_every_shipped_one_is_named():
    named = {
        name
        for path in PAGES
        for name in re.findall(r"(?:^ *|[{`])beamline: ([a-z0-9_]+)\b(?!\.yaml)", path.read_text("utf-8"), re.MULTILINE)
    }
    shipped = {path.stem for path in SHIPPED.glob("*.yaml")}
    assert named <= shipped, f"no such beamline: {named - shipped}"
    listed = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/howto/beamline.md").read_text("utf-8"), re.MULTILINE))
    assert shipped <= listed, f"not in the list of beamlines: {shipped - listed}"
