"""Keys of plans that the pages name in passing: each is one that a plan knows, and so is each figure of a result."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.records import CrystalImage, Quality
from friedel.bcdi.series.plan import SeriesPlan
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.merge.plan import MergePlan
from friedel.spi.orient.quality import MergeQuality

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
KEY = re.compile(r"(?:`|--set '?)((?:prepare|phasing|strain|select|frames|cluster|density)(?:\.\w+)+)(?=[`=: ])")
FIGURE = re.compile(r"`(?:result\.)?(quality|crystal)\.(\w+)")
PLANS = (ReconstructionPlan, SeriesPlan, ClassifyPlan, MergePlan)
SUFFIXES = {"csv", "cxi", "json", "mrc", "npz", "png", "vti"}


def _known(plan: type[BaseModel], names: list[str]) -> bool:
    for place, name in enumerate(names):
        if name not in plan.model_fields:
            return False
        annotation = plan.model_fields[name].annotation
        inner = [one for one in (annotation, *getattr(annotation, "__args__", ())) if isinstance(one, type)]
        models = [one for one in inner if issubclass(one, BaseModel)]
        if not models:
            return place == len(names) - 1
        plan = models[0]
    return True


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_keys_that_are_named_exist(path):
    text = path.read_text("utf-8")
    for key in KEY.findall(text):
        assert key.split(".")[1] in SUFFIXES or any(_known(plan, key.split(".")) for plan in PLANS), (
            f"{path.name}: {key}"
        )
    known = {"quality": (Quality, MergeQuality), "crystal": (CrystalImage,)}
    for record, name in FIGURE.findall(text):
        has = [name in {field.name for field in fields(one)} or hasattr(one, name) for one in known[record]]
        assert any(has) or name in SUFFIXES, f"{path.name}: {record}.{name}"
