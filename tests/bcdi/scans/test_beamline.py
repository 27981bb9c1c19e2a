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


def altered(tmp_path: Path, place: str, value: object) -> Path:
    description = yaml.safe_load((SHIPPED / "esrf_id01.yaml").read_text(encoding="utf-8"))
    *levels, last = place.split(".")
    inner = description
    for level in levels:
        inner = inner[int(level)] if level.isdigit() else inner[level]
    inner[last] = value
    path = tmp_path / "own.yaml"
    path.write_text(yaml.safe_dump(description), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("energy.unit", "mm", "energy is in eV, keV, angstrom; its unit is 'mm'"),
        ("energy.scale", 0, "a scale of 0"),
        ("energy.scale", float("nan"), "finite"),
        ("detector.distance.unit", "eV", "distance is a length"),
        ("detector.pixel_size_m", [55, 55], "less than 0.001"),
        ("detector.pixel_size_m", [0.055, 0.055], "less than 0.001"),
        ("detector.x_axis", "y+", "rows and columns both run along y"),
        ("sample_circles.0.offset_deg", float("inf"), "finite"),
        ("sample_circles.0.motor", "eta", "a motor stands twice among eta, eta, phi"),
        ("layout.entry", "{number}.1", "only {scan} can stand in braces"),
        ("layout.entry", "{scan:q}", "only {scan} can stand in braces"),
        ("layout.frames", [], "at least 1 item"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path: Path, place: str, value: object, said: str) -> None:
    with pytest.raises(PlanError, match=said.replace("{", r"\{").replace("}", r"\}")):
        load_beamline(altered(tmp_path, place, value))


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text((SHIPPED / "aps34idc.yaml").read_text(encoding="utf-8") + "\nenergy: {motor: e, unit: eV}\n")
    with pytest.raises(InputError, match="the key 'energy' stands twice"):
        load_beamline(path)


def test_a_pixel_size_in_another_unit_is_refused() -> None:
    with pytest.raises(PlanError, match=r"less than 0\.001"):
        ScanSource.read({"path": "x", "pixel_size_m": [0.055, 0.055]})
