"""A series of scans: which scans a plan means, a heated crystal with its truth, resumption, and who doesn't fit in."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
from heating import write_heating

from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.series import run as series_run
from friedel.bcdi.series.outliers import find_doubtful, find_outliers
from friedel.bcdi.series.plan import SeriesPlan, members_of, scan_numbers
from friedel.bcdi.series.run import run_series
from friedel.core.errors import InputError, PlanError


def test_numbers_are_read_as_people_write_them():
    assert scan_numbers("40-43, 50, 60-70:5") == (40, 41, 42, 43, 50, 60, 65, 70)
    for wrong, why in (("40-", "write a number"), ("43-40", "runs backwards"), ("40, 38-41", "names a scan twice")):
        with pytest.raises(PlanError, match=why):
            scan_numbers(wrong)


def test_every_scan_gets_its_own_plan_and_its_conditions(tmp_path):
    (tmp_path / "log.csv").write_text("scan,temperature,dose\n40,300,0\n41,325.5,1\n")
    plan = SeriesPlan.read({"scan": {"path": "data"}, "scans": "40-41", "conditions_file": "log.csv", "seed": 3})
    plan = plan.located(tmp_path)
    _, second = members_of(plan)
    assert second.name == "scan_0041"
    assert second.plan.scan.scan == 41
    assert second.plan.scan.path == tmp_path / "data"
    assert second.plan.seed == 3
    assert second.conditions == {"temperature": 325.5, "dose": 1.0}
    assert SeriesPlan.load(_written(tmp_path, plan)).text() == plan.text()


def test_a_condition_may_be_what_the_files_record():
    values = {"scan": {"path": "data", "beamline": "aps34idc", "record": ["th"]}, "scans": "1-2", "against": "oven"}
    assert [member.plan.scan.record for member in members_of(SeriesPlan.read(values))] == [("th", "oven")] * 2
    stated = values | {"conditions": {"oven": (1.0, 2.0)}}
    assert members_of(SeriesPlan.read(stated))[1].plan.scan.record == ("th",)


def test_a_file_a_scan_needs_no_other_path():
    plan = SeriesPlan.read({"scan": {"beamline": "aps34idc"}, "files": ["a/one.h5", "two.h5"]})
    assert [str(member.plan.scan.path) for member in members_of(plan)] == ["a/one.h5", "two.h5"]
    assert [member.name for member in members_of(plan)] == ["001_one", "002_two"]


def _written(folder, plan):
    (folder / "series.yaml").write_text(plan.text())
    return folder / "series.yaml"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "either 'scans'"),
        ({"scans": "1-3", "conditions": {"temperature": (300.0,)}}, "1 values for 3 members"),
        ({"scans": "1", "against": "dose"}, "the conditions are none"),
    ],
)
def test_what_doesn_t_fit_is_refused(changed, why):
    with pytest.raises(PlanError, match=why):
        members_of(SeriesPlan.read({"scan": {"path": "data"}, **changed}))


def test_a_single_scan_s_plan_holds_for_all_of_them():
    single = ReconstructionPlan(scan=ScanSource(path="data"), seed=5)
    assert [member.plan.seed for member in members_of(SeriesPlan.like(single, "7-8"))] == [5, 5]
    with pytest.raises(PlanError, match="no 'scan' section"):
        SeriesPlan.like(ReconstructionPlan(), "7")


def test_a_missing_table_of_conditions_says_what_it_needs(tmp_path):
    (tmp_path / "log.csv").write_text("number;temperature\n40;300\n")
    plan = SeriesPlan.read({"scan": {"path": "data"}, "scans": "40", "conditions_file": str(tmp_path / "log.csv")})
    with pytest.raises(InputError, match="column 'scan'"):
        members_of(plan)


def test_a_scan_begins_at_the_last_trusted_one_before_it(tmp_path, monkeypatch):
    members = members_of(SeriesPlan.read({"scan": {"path": "data"}, "scans": "1-4"}))
    loaded = []
    monkeypatch.setattr(series_run, "load_reconstruction", lambda path: loaded.append(path.parent.name) or path)
    for member, trusted in zip(members[:3], (True, True, False), strict=True):
        (tmp_path / member.name).mkdir()
        numbers = {"kind": "crystal", "trusted": trusted}
        (tmp_path / member.name / "crystal.json").write_text(json.dumps(numbers))
        (tmp_path / member.name / "series.txt").write_text(series_run._stamp(member, chained=True))
    for member in members:
        series_run._neighbour(member, tmp_path, members)
    assert loaded == ["scan_0001", "scan_0002", "scan_0002"]
    assert series_run._neighbour(members[3], tmp_path, ()) is None
    # Of another plan, or of a series that began anew: not this series' result.
    (tmp_path / "scan_0002" / "series.txt").write_text(series_run._stamp(members[1], chained=False))
    series_run._neighbour(members[3], tmp_path, members)
    assert loaded[3:] == ["scan_0001"]


def test_a_damaged_neighbour_is_passed_over(tmp_path):
    members = members_of(SeriesPlan.read({"scan": {"path": "data"}, "scans": "1-2"}))
    (tmp_path / "scan_0001").mkdir()
    (tmp_path / "scan_0001" / "crystal.json").write_text(json.dumps({"kind": "crystal", "trusted": True}))
    (tmp_path / "scan_0001" / "series.txt").write_text(series_run._stamp(members[0], chained=True))
    assert series_run._neighbour(members[1], tmp_path, members) is None  # its reconstruction is gone
    (tmp_path / "scan_0001" / "reconstruction.cxi").write_bytes(b"half a file")
    assert series_run._neighbour(members[1], tmp_path, members) is None


@dataclass
class _Scan:
    name: str
    numbers: dict
    quality: dict
    failed: str = ""
    conditions: dict = field(default_factory=dict)


def _scans(n=12, **changes):
    rng = np.random.default_rng(0)
    scans = []
    for k in range(n):
        values = {"chi": 0.06 + 0.001 * k + 0.001 * rng.normal(), "voxels": 3000 + 20 * rng.normal(), "frames": 64}
        values |= {"photons": 1e7} | (changes if k == 5 else {})
        quality = {"chi": values.pop("chi"), "trusted": values.pop("trusted", True)}
        scans.append(_Scan(f"scan {k}", values, quality))
    return scans


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"frames": 30}, "aborted"), ({"voxels": 4500}, "voxels"), ({"chi": 0.2}, "chi"), ({"trusted": False}, "check")],
)
def test_the_odd_one_is_named_with_its_reason_and_nobody_else(changes, why):
    outliers = find_outliers(_scans(**changes), None)
    assert list(outliers) == ["scan 5"]
    assert why in outliers["scan 5"]


def test_voxels_of_another_size_make_nobody_odd_and_another_volume_does():
    scans = _scans(voxels=2400)
    volumes = 1e6 * (1 + 0.01 * np.random.default_rng(1).normal(size=len(scans)))
    for scan, volume in zip(scans, volumes, strict=True):
        scan.numbers["volume_nm3"] = float(volume)
    assert find_outliers(scans, None) == {}
    scans[5].numbers["volume_nm3"] = 1.3e6
    assert "volume (nm³) 1.3e+06 where" in find_outliers(scans, None)["scan 5"]


@dataclass
class _Together:
    correlations: np.ndarray
    names: tuple = tuple(f"scan {k}" for k in range(12))
    reference: str = "scan 3"


def test_a_failed_check_is_in_doubt_beside_like_neighbours_and_odd_with_unlike_ones():
    scans, alike = _scans(trusted=False), np.full(12, 0.97)
    assert find_outliers(scans, _Together(alike)) == {}
    assert list(find_doubtful(scans, {})) == ["scan 5"]
    unlike = np.where(np.arange(12) == 5, 0.6, alike)
    outliers = find_outliers(scans, _Together(unlike))
    assert "a check failed" in outliers["scan 5"]
    assert "correlation" in outliers["scan 5"]
    assert find_doubtful(scans, outliers) == {}
    few = scans[3:7]
    assert list(find_outliers(few, _Together(alike[3:7], ("scan 3", "scan 4", "scan 5", "scan 6")))) == ["scan 5"]


def test_the_reference_and_a_better_fit_are_not_odd():
    alike = np.full(12, 0.97)
    alike[5] = 1.0
    assert find_outliers(_scans(chi=0.02), _Together(alike, reference="scan 5")) == {}


def test_a_steady_trend_makes_nobody_odd():
    assert find_outliers(_scans(), None) == {}


@pytest.fixture(scope="module")
def heated(tmp_path_factory):
    """Three scans of one crystal from 300 to 600 K, the middle one stopped halfway, and one that isn't there."""
    root = tmp_path_factory.mktemp("heating")
    truth = write_heating(root / "raw", 3, aborted=1)
    quick = PhasingOptions.read({"start": "random", "starts": 2})
    plan = SeriesPlan(
        scan=truth.source, scans="40-43", conditions={"temperature": (*truth.temperatures, 750.0)}, phasing=quick
    )
    return truth, plan, root / "series", run_series(plan, root / "series")


@pytest.mark.timeout(900)
def test_a_heated_crystal_s_strain_grows_as_it_did(heated):
    truth, _, _, result = heated
    assert result.against == "temperature"
    temperatures, strain, errors = result.along("strain_rms")
    found = {t: (value, error) for t, value, error in zip(temperatures, strain, errors, strict=True)}
    for k in (0, 2):
        value, error = found[truth.temperatures[k]]
        # The true spread counts the outermost layer too, which no result resolves: a tenth for that.
        assert abs(value - truth.strain_rms[k]) < 3 * error + 0.1 * truth.strain_rms[k]
    assert found[600.0][0] > 1.8 * found[300.0][0]


@pytest.mark.timeout(900)
def test_the_aborted_and_the_missing_scan_are_named(heated):
    result = heated[3]
    # Two quick starts needn't agree, so that a good scan's own verdict may fail; but nobody calls it aborted.
    assert {"scan_0041", "scan_0043"} <= set(result.outliers)
    assert not any("aborted" in result.outliers.get(name, "") for name in ("scan_0040", "scan_0042"))
    assert "aborted" in result.outliers["scan_0041"] or "no result" in result.outliers["scan_0041"]
    assert "no result" in result.outliers["scan_0043"]


@pytest.mark.timeout(900)
def test_the_crystals_lie_in_one_frame_and_the_files_tell_all(heated):
    _, _, folder, result = heated
    good = [k for k, name in enumerate(result.together.names) if name != "scan_0041"]
    assert len(good) == 2
    assert (folder / "series.gif").read_bytes().startswith(b"GIF8")
    text = (folder / "series.csv").read_text()
    assert len(text.splitlines()) == 5
    # Nine voxels across: too small for most facets, and each scan says what it has.
    assert all((folder / name / "facets.csv").read_text().startswith("hkl,normal_x") for name in result.together.names)
    assert "temperature" in text.splitlines()[0]
    page = (folder / "report.html").read_text()
    assert "scan_0041" in page
    assert 'src="http' not in page


@pytest.mark.timeout(900)
def test_it_goes_on_where_it_stopped(heated):
    _, plan, folder, first = heated
    (folder / "scan_0041" / "series.txt").unlink(missing_ok=True)
    again = run_series(plan, folder)
    assert [scan.again for scan in again.scans] == [True, False, True, False]
    assert again.scans[2].numbers == first.scans[2].numbers
    assert again.outliers.keys() == first.outliers.keys()
