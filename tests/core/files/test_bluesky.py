"""Documents of a Bluesky run as JSON lines, as databroker and suitcase write them."""

import json

import h5py
import numpy as np
import pytest

from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import InputError
from friedel.core.files.bluesky import read_bluesky

OM = np.linspace(17.0, 17.19, 20)


def documents(scan_id=3, *, paged=False, units="deg", om=OM):
    """Return the documents of a run that scans ``om`` with a baseline of other motors."""
    still = {"gam": 3.0, "del": 31.0, "phi": 1.0, "chi": 90.0, "mu": 0.0, "fmbenergy": 9000.0, "comment": "gold"}
    key = {"dtype": "number", "shape": [], "source": "PV"}
    yield "start", {"uid": f"s{scan_id}", "scan_id": scan_id, "plan_name": "scan", "motors": ["om"], "time": 0.0}
    yield "descriptor", {"uid": "b", "name": "baseline", "data_keys": dict.fromkeys(still, key)}
    yield "event", {"descriptor": "b", "seq_num": 1, "data": still, "timestamps": {}}
    keys = {"om": key | {"units": units}, "det_total": key, "image": {"external": "FILESTORE:"}}
    yield (
        "descriptor",
        {"uid": "p", "name": "primary", "data_keys": keys, "configuration": {"det": {"data": {"exp": 0.5}}}},
    )
    data = {"om": list(om), "det_total": list(range(20)), "image": ["x"] * 20}
    if paged:
        yield "event_page", {"descriptor": "p", "seq_num": list(range(1, 21)), "data": data}
    else:
        for k in np.random.default_rng(0).permutation(20):
            event = {name: values[k] for name, values in data.items()}
            yield "event", {"descriptor": "p", "seq_num": int(k) + 1, "data": event}
    yield "event", {"descriptor": "b", "seq_num": 2, "data": still | {"gam": 3.5}}
    yield "stop", {"exit_status": "success", "run_start": f"s{scan_id}"}


def write(path, *runs, named=False):
    lines = [{"name": name, "doc": doc} if named else [name, doc] for run in runs for name, doc in run]
    path.write_text("\n".join(json.dumps(line) for line in lines) + "\n")
    return path


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("paged", [False, True])
def test_motors_and_columns_of_a_run(paged, named, tmp_path):
    scan = read_bluesky(write(tmp_path / "run.jsonl", documents(paged=paged), named=named))
    np.testing.assert_allclose(scan.columns["om"], OM)
    np.testing.assert_array_equal(scan.columns["det_total"], range(20))
    assert scan.motors["gam"] == 3.0
    assert scan.motors["exp"] == 0.5
    assert scan.command == "scan om"
    assert not {"image", "comment"} & {*scan.columns, *scan.motors}


def test_angles_in_radians_come_in_degrees(tmp_path):
    scan = read_bluesky(write(tmp_path / "run.jsonl", documents(units="rad", om=np.deg2rad(OM))))
    np.testing.assert_allclose(scan.columns["om"], OM)


def test_one_of_several_runs_is_chosen_by_its_number(tmp_path):
    path = write(tmp_path / "runs.jsonl", documents(3), documents(4, om=OM + 1))
    np.testing.assert_allclose(read_bluesky(path, 4).columns["om"], OM + 1)
    with pytest.raises(InputError, match=r"found 2; its scan_ids: 3, 4\. State 'scan'"):
        read_bluesky(path)
    with pytest.raises(InputError, match="found 0"):
        read_bluesky(path, 5)


def test_what_is_no_run_is_one_error(tmp_path):
    aborted = [entry for entry in documents() if entry[0] in ("start", "stop")]
    with pytest.raises(InputError, match="has no event"):
        read_bluesky(write(tmp_path / "run.jsonl", aborted))
    (tmp_path / "cut.jsonl").write_text('["start", {"uid": "a"')
    with pytest.raises(InputError, match=r"cut\.jsonl"):
        read_bluesky(tmp_path / "cut.jsonl")


def test_a_scan_takes_its_angles_from_the_documents(tmp_path):
    frames = np.random.default_rng(1).poisson(3, (20, 24, 22)).astype(np.uint32)
    with h5py.File(tmp_path / "a_00003_master.h5", "w") as file:
        file["entry/data/data_000001"] = frames
    spec = write(tmp_path / "run.jsonl", documents())
    source = ScanSource(path=tmp_path, beamline="petra3_p10", scan=3, spec=spec, distance_m=1.8)
    scan = read_scan(source)
    np.testing.assert_allclose(scan.motors_deg["om"], OM)
    assert scan.motors_deg["del"] == 31.0
    assert scan.beam is not None
    assert scan.beam.photon_energy_ev == pytest.approx(9000.0)
