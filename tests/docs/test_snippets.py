"""Everything a page tells people to type: Python that runs, or imports that exist; commands whose options there are."""

import ast
import importlib
import re
import shlex
from pathlib import Path

import pytest
import typer

from friedel.bcdi.scans.beamline import SHIPPED
from friedel.cli.main import app

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
