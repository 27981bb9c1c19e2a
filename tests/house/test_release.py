"""What a release rests on: one version everywhere, a changelog for it, the files that people look for."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

from friedel import __version__

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_version_is_the_citation_s_and_has_its_section_in_the_changelog():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = re.findall(r"^## \[([^\]]+)\]", text, re.MULTILINE)
    assert sections[0] == "Unreleased"
    assert __version__ in sections


def test_the_pythons_promised_are_the_pythons_tried():
    promised = {c.rsplit(" ", 1)[1] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)}
    tests = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    tried = set(tests["jobs"]["tests"]["strategy"]["matrix"]["python"])
    assert tried == promised
    assert PROJECT["project"]["requires-python"] == ">=" + min(promised, key=lambda v: int(v.split(".")[1]))


def test_all_brings_every_extra_but_those_it_says_it_doesn_t():
    extras = PROJECT["project"]["optional-dependencies"]
    brought = set(re.findall(r"\w+", extras["all"][0].split("[")[1])) | set(re.findall(r"\w+", extras["live"][0])) - {
        "friedel"
    }
    assert set(extras) - brought == {"all", "atoms", "dev", "docs", "peers", "release", "test", "tiled"}


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.y*ml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_yaml_with_their_needed_keys(path):
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.parent.name == "workflows":
        assert set(values) >= {"name", "jobs", "permissions"}
        for job in values["jobs"].values():
            assert "timeout-minutes" in job
    elif path.name not in ("config.yml", "dependabot.yml"):
        assert set(values) >= {"name", "description", "body"}


def test_a_bug_report_asks_for_what_doctor_says():
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    assert "friedel doctor --json" in text


def test_the_conda_recipe_needs_what_the_package_needs():
    text = (ROOT / "packaging" / "conda" / "recipe.yaml").read_text(encoding="utf-8")
    named = {re.split(r"[<>=\[ ]", item)[0].lower() for item in PROJECT["project"]["dependencies"]}
    named = {{"torch": "pytorch"}.get(name, name) for name in named}
    missing = [name for name in sorted(named) if not re.search(rf"^\s+- {name}\b", text, re.MULTILINE | re.IGNORECASE)]
    assert missing == []
