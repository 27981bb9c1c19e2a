from pathlib import Path

import pytest
import yaml

from friedel.bcdi.scans.beamline import SHIPPED, load_beamline, shipped_beamlines
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError, PlanError


@pytest.mark.parametrize("name", shipped_beamlines())
def test_every_shipped_beamline_reads_and_carries_its_own_name(name: str) -> None:
    beamline = load_beamline(name)
    assert beamline.name == name
    assert beamline.description
    assert len({circle.motor for circle in beamline.sample_circles}) == len(beamline.sample_circles)


def test_34idc_is_described_as_the_beamline_is() -> None:
    beamline = load_beamline("aps34idc")
    assert [(c.motor, c.axis) for c in beamline.sample_circles] == [("th", "y+"), ("chi", "z-"), ("phi", "y+")]
    assert [(c.motor, c.axis) for c in beamline.detector_circles] == [("del", "y+"), ("gam", "x-")]
    assert beamline.dark_is == "bad_pixels"


def test_a_new_beamline_is_only_a_file(tmp_path: Path) -> None:
    values = yaml.safe_load((SHIPPED / "esrf_id01.yaml").read_text())
    values |= {"name": "mine", "energy": {"value": 8.0, "unit": "keV"}}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(values))
    assert load_beamline(path).energy.value == 8.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sample_circle": []}, "did you mean 'sample_circles'"),
        ({"energy": {"unit": "keV"}}, "give a motor, a value, or both"),
        ({"sample_circles": [{"motor": "th", "axis": "up"}]}, "sample_circles.0.axis"),
        ({"layout": {"kind": "nonsense"}}, "layout"),
    ],
)
def test_a_wrong_description_says_where(tmp_path: Path, change: dict[str, object], said: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load((SHIPPED / "aps34idc.yaml").read_text()) | change))
    with pytest.raises(PlanError, match=said):
        load_beamline(path)


def test_an_unknown_beamline_lists_those_shipped() -> None:
    with pytest.raises(InputError, match="aps34idc"):
        load_beamline("aps34idq")


def test_damaged_yaml_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text("name: [")
    with pytest.raises(InputError, match="not readable as YAML"):
        load_beamline(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text("just words")
    with pytest.raises(PlanError, match="mapping"):
        load_beamline(tmp_path / "c.yaml")


def test_relative_paths_are_taken_from_the_plans_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("")
    source = ScanSource(path=Path("frames"), spec=Path("/abs/a.spec"), beamline="mine.yaml")
    found = source.located(tmp_path)
    assert found.path == tmp_path / "frames"
    assert found.spec == Path("/abs/a.spec")
    assert found.beamline == str(tmp_path / "mine.yaml")
    assert found.dark is None
