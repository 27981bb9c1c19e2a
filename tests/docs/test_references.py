"""References, without the network: DOIs that can be DOIs, each once, the number in the text that of the entry."""

import re
from pathlib import Path
from urllib.parse import urlparse

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
DOI = re.compile(r"10\.\d{4,9}/[-._;()/:A-Za-z0-9]+")
ENTRY = re.compile(r"^(\d+)\. (.+)$", re.MULTILINE)


def _theory():
    text = (ROOT / "docs" / "theory.md").read_text(encoding="utf-8")
    body, entries = text.split("## Bibliography")
    return body, {int(number): entry for number, entry in ENTRY.findall(entries)}


def test_entries_are_numbered_through_and_each_is_cited():
    body, entries = _theory()
    assert list(entries) == list(range(1, len(entries) + 1))
    cited = {int(n) for group in re.findall(r"\[(\d+(?:, \d+)*)\]", body) for n in group.split(",")}
    assert cited == set(entries)


def test_every_doi_has_the_form_of_one_and_leads_where_it_says():
    for path in PAGES:
        for shown, target in re.findall(
            r"\[doi:([^\]]+)\]\((\S+?)\)(?=[\s.,;)]|$)", path.read_text("utf-8"), re.MULTILINE
        ):
            assert DOI.fullmatch(shown), f"{path.name}: {shown}"
            assert target == f"https://doi.org/{shown}", path.name


def test_no_work_is_listed_twice_and_only_those_without_a_doi_lack_one():
    _, entries = _theory()
    found = [DOI.search(entry.split("](")[0]) for entry in entries.values()]
    known = [match[0].lower() for match in found if match]
    assert len(set(known)) == len(known)
    without = [number for number, match in zip(entries, found, strict=True) if match is None]
    # Two papers in Optik of before DOIs, and a page of this site.
    assert len(without) == 3
    for number in without:
        assert "Optik" in entries[number] or ".md)" in entries[number]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_links_elsewhere_are_whole_and_encrypted(path):
    for target in re.findall(r"\]\((\w+://[^)\s]+)", path.read_text("utf-8")):
        parts = urlparse(target)
        assert parts.scheme == "https", target
        assert "." in parts.netloc, target


def test_search_works_without_the_internet():
    # The theme's plugin asks unpkg.com for a script of this name, unless the site brings one.
    scripts = yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["extra"]["polyfills"]
    assert any("iframe-worker" in script for script in scripts)
    assert all((ROOT / "docs" / script).is_file() for script in scripts)
