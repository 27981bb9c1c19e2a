"""The pages keep up with the code: every module has its place in the API, every page in the navigation."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "friedel"


def _pages(entries):
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from _pages(value) if isinstance(value, list) else [value]


@pytest.mark.parametrize("room", sorted(path.parent.name for path in SOURCE.glob("*/__init__.py")))
def test_every_module_is_in_the_api(room):
    if room == "cli":  # its help documents it
        return
    page = ROOT / "docs" / "api" / f"{room}.md"
    assert page.is_file(), f"docs/api/{room}.md is missing"
    directives = {line.removeprefix("::: ") for line in page.read_text().splitlines() if line.startswith("::: ")}
    modules = {f"friedel.{room}.{path.stem}" for path in (SOURCE / room).glob("*.py") if path.stem != "__init__"}
    assert directives == modules, f"docs/api/{room}.md lacks {modules - directives}, names {directives - modules}"


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert set(_pages(nav)) == pages


def test_the_readme_starts_with_the_picture_and_its_links_lead_somewhere():

    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("![")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_architecture_page_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    missing = [path.parent.name for path in SOURCE.glob("*/__init__.py") if f"| `{path.parent.name}` |" not in text]
    assert missing == []
