"""The pages keep up with the code: every room in the table, every page in the navigation, every link to somewhere."""

import importlib.util
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "friedel"


def _pages(entries):
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        yield from _pages(value) if isinstance(value, list) else [value]


def test_every_page_is_in_the_navigation():
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]
    written = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    # docs/gen_api.py writes one page a room, docs/gen_plans.py one of all plans, docs/gen_tutorials.py one a tutorial
    tutorials = {f"tutorials/{path.stem}.md" for path in (ROOT / "docs" / "tutorials").glob("*.py")}
    generated = {"api/", "plans.md"} | tutorials
    assert set(_pages(nav)) == written | generated


def test_the_readme_starts_with_the_picture_and_its_links_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.splitlines()[2].startswith("![")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_list_of_files_is_that_of_the_code():
    spec = importlib.util.spec_from_file_location("gen_files", ROOT / "docs" / "gen_files.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    assert made.PAGE.read_text(encoding="utf-8") == made.page(), "run: python docs/gen_files.py"


def test_the_architecture_page_names_every_room_and_file():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = [
        path
        for house in ("core", "stream", "bcdi", "spi")
        for path in (SOURCE / house).iterdir()
        if path.name != "templates"
    ]
    rooms += [path for path in SOURCE.iterdir() if path.is_dir()]
    names = {path.stem for path in rooms if not path.name.startswith("_") and path.suffix != ".typed"}
    assert sorted(name for name in names if f"`{name}`" not in text) == []
