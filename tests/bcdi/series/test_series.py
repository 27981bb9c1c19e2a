"""A series of scans: which scans a plan means, a heated crystal with its truth, resumption, and who doesn't fit in."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from heating import write_heating

from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.series.outliers import odd_ones
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


def _written(folder, plan):
    (folder / "series.yaml").write_text(plan.text())
    return folder / "series.yaml"


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, "either 'scans'"),
        ({"scans": "1-3", "conditions": {"temperature": (300.0,)}}, "1 values for 3 scans"),
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
    odd = odd_ones(_scans(**changes), None)
    assert list(odd) == ["scan 5"]
    assert why in odd["scan 5"]


def test_a_steady_trend_makes_nobody_odd():
    assert odd_ones(_scans(), None) == {}


@pytest.fixture(scope="module")
def heated(tmp_path_factory):
    root = tmp_path_factory.mktemp("heating")
    truth = write_heating(root / "raw", 6, aborted=3)
    quick = PhasingOptions.read({"start": "random", "starts": 3})
    plan = SeriesPlan(
        scan=truth.source, scans="40-46", conditions={"temperature": (*truth.temperatures, 700.0)}, phasing=quick
    )
    return truth, plan, root / "series", run_series(plan, root / "series")


@pytest.mark.timeout(600)
def test_a_heated_crystal_s_strain_grows_as_it_did(heated):
    truth, _, _, result = heated
    temperatures, strain, errors = result.along("strain_rms")
    good = [k for k in range(6) if k != 3]
    found = dict(zip(temperatures, strain, strict=True))
    for k in good:
        assert found[truth.temperatures[k]] == pytest.approx(truth.strain_rms[k], rel=0.35)
    slope = np.polyfit(truth.strain_rms, [found.get(t, np.nan) if k in good else truth.strain_rms[k]
                                          for k, t in enumerate(truth.temperatures)], 1)[0]  # fmt: skip
    assert 0.65 < slope < 1.35
    assert result.against == "temperature"
    assert np.all(np.isnan(errors) | (errors > 0))


@pytest.mark.timeout(600)
def test_the_aborted_and_the_missing_scan_are_named(heated):
    result = heated[3]
    assert "aborted" in result.odd["scan_0043"] or "no result" in result.odd["scan_0043"]
    assert "no result" in result.odd["scan_0046"]
    assert len(result.odd) <= 3


@pytest.mark.timeout(600)
def test_the_crystals_lie_in_one_frame_and_the_files_tell_all(heated):
    _, _, folder, result = heated
    good = [k for k, name in enumerate(result.together.names) if name != "scan_0043"]
    assert result.together.correlations[good].min() > 0.85
    text = (folder / "series.csv").read_text()
    assert len(text.splitlines()) == 8
    assert "temperature" in text.splitlines()[0]
    page = (folder / "report.html").read_text()
    assert "scan_0043" in page
    assert 'src="http' not in page
    assert (folder / "series.gif").read_bytes().startswith(b"GIF89a")


@pytest.mark.timeout(600)
def test_it_goes_on_where_it_stopped(heated):
    _, plan, folder, first = heated
    stopped = folder / "scan_0042" / "series.txt"
    stopped.unlink()
    again = run_series(plan, folder)
    taken = {scan.name: scan.again for scan in again.scans}
    assert taken["scan_0041"]
    assert not taken["scan_0042"]
    assert again.scans[2].numbers == first.scans[2].numbers
