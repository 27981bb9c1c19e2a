"""CXI files against the format's own rules.

`broken_rules` restates what the format's document asks ("The CXI File Format for Coherent X-ray Imaging", version 1.6,
F. R. N. C. Maia, cxidb.org) and what the validator that comes with it checks (github.com/cxidb/CXI, validate_cxi.py);
the sections are the document's.
"""

import re
from datetime import datetime

import h5py
import numpy as np
import pytest
import yaml

from friedel.bcdi.records import CrystalImage, Diffraction
from friedel.bcdi.results.save import save_reconstruction

IMPLICIT_AXES = {"y", "x", "coordinate", "dimension", "dot_product", "unit_cell"}
DATA_TYPES = {"intensity", "electron density", "amplitude", "unphased amplitude", "autocorrelation"}  # A.8
SI_UNITS = {"m", "m^-1", "J", "s"}  # 6: SI base units, no exceptions


def text(dataset):
    return dataset[()].decode()


def numbered(group, kind):
    found = sorted(
        (name for name in group if re.fullmatch(rf"{kind}_\d+", name)), key=lambda name: int(name.split("_")[-1])
    )
    return found, found == [f"{kind}_{index + 1}" for index in range(len(found))]


def broken_rules(path, *, units=SI_UNITS):
    """Return one sentence for each rule the file breaks."""
    broken = []
    with h5py.File(path, "r") as file:
        if file["cxi_version"].dtype.kind not in "iu":  # A.1
            broken.append("cxi_version is not an integer")
        entries, in_order = numbered(file, "entry")
        if not entries or not in_order:
            broken.append("entries don't count up from entry_1")
        if "number_of_entries" in file and file["number_of_entries"][()] != len(entries):
            broken.append("number_of_entries is wrong")
        for name in entries:
            broken += _broken_in_entry(file[name])
        file.visititems(lambda name, item: broken.extend(_broken_item(name, item, units)))
    return broken


def _broken_in_entry(entry):
    broken = []
    for kind in ("data", "instrument", "sample", "image", "result"):  # 2.3: classes are numbered from 1
        found, in_order = numbered(entry, kind)
        if not in_order or (kind == "data" and not found):  # A.4: at least one data group
            broken.append(f"{kind} groups don't count up from {kind}_1")
        for name in found:
            checks = {"data": _broken_data, "image": _broken_image}
            broken += checks.get(kind, lambda group: [])(entry[name])
    for instrument in numbered(entry, "instrument")[0]:
        detectors = numbered(entry[instrument], "detector")[0]
        broken += [f"{name} has no data" for name in detectors if "data" not in entry[instrument][name]]  # A.5
    return broken


def _broken_data(group):
    if not isinstance(group.get("data"), h5py.Dataset):
        return [f"{group.name} has no data"]
    return _broken_axes(group, "data") + _broken_complex(group["data"])


def _broken_image(group):
    broken = [] if isinstance(group.get("data"), h5py.Dataset) else [f"{group.name} has no data"]
    if text(group["data_type"]) not in DATA_TYPES:
        broken.append(f"{group.name}: data_type {text(group['data_type'])!r}")
    if text(group["data_space"]) not in {"real", "diffraction"}:
        broken.append(f"{group.name}: data_space {text(group['data_space'])!r}")
    if group["mask"].dtype != np.uint32:
        broken.append(f"{group.name}: the mask is not 32-bit unsigned")
    if group["image_size"].shape != (3,) or group["dimensionality"][()] not in (1, 2, 3):
        broken.append(f"{group.name}: image_size or dimensionality")
    return broken + _broken_axes(group, "data") + _broken_axes(group, "mask") + _broken_complex(group["data"])


def _broken_axes(group, name):
    """9.1: one name a dimension, each the name of a dataset beside the data, of that dimension's length."""
    names, shape = group[name].attrs.get("axes", "").split(":"), group[name].shape
    if len(names) != len(shape):
        return [f"{group.name}/{name}: {len(names)} axes for {len(shape)} dimensions"]
    scales = [(axis, n) for axis, n in zip(names, shape, strict=True) if axis not in IMPLICIT_AXES]
    return [
        f"{group.name}/{axis} doesn't fit {name}" for axis, n in scales if axis not in group or len(group[axis]) != n
    ]


def _broken_complex(dataset):
    """5.1: complex numbers are a compound of r and i."""
    if dataset.dtype.kind != "c":
        return []
    kind = dataset.id.get_type()
    members = [kind.get_member_name(index) for index in range(kind.get_nmembers())]
    return [] if members == [b"r", b"i"] else [f"{dataset.name}: complex members {members}"]


def _broken_item(name, item, units):
    broken = []
    if "units" in item.attrs and item.attrs["units"] not in units:
        broken.append(f"{name}: unit {item.attrs['units']!r}")
    if name.endswith("/date"):
        datetime.fromisoformat(text(item))  # 6.2: ISO 8601; raises if it isn't
    return broken


@pytest.fixture
def measured(finished):
    result = finished()
    generator = np.random.default_rng(1)
    mask = generator.random(result.object.shape) > 0.1
    intensities = generator.poisson(3.0, result.object.shape).astype(np.float32)
    return Diffraction(intensities=intensities, mask=mask, grid=result.grid, name="scan 54")


def test_the_file_keeps_the_rules(finished, measured, tmp_path):
    assert broken_rules(save_reconstruction(finished(), tmp_path / "plain.cxi")) == []
    assert broken_rules(save_reconstruction(finished(), tmp_path / "full.cxi", diffraction=measured)) == []


def test_without_geometry_lengths_are_voxels_and_say_so(finished, tmp_path):
    path = save_reconstruction(finished(geometry=None), tmp_path / "result.cxi")
    assert broken_rules(path, units={"voxel", "s"}) == []
    with h5py.File(path) as file:
        assert file["entry_1/image_1/image_size"][()].tolist() == [22, 18, 16]
        assert "instrument_1" not in file["entry_1"]


def test_the_rules_notice_a_broken_file(finished, tmp_path):
    path = save_reconstruction(finished(), tmp_path / "result.cxi")
    with h5py.File(path, "r+") as file:
        file["entry_1/image_1/data_type"][()] = "density"
        del file["entry_1/data_1/z"]
        del file["cxi_version"]
        file["cxi_version"] = 1.6
        file["entry_1/image_1/x"].attrs["units"] = "nm"
    assert len(broken_rules(path)) == 4


def test_sizes_energy_and_object_are_in_si(finished, tmp_path):
    result = finished(geometry="square")
    with h5py.File(save_reconstruction(result, tmp_path / "result.cxi")) as file:
        image = file["entry_1/image_1"]
        assert file["cxi_version"][()] == 160
        np.testing.assert_array_equal(file["entry_1/data_1/data"][()], result.object)
        z, y, x = np.linalg.norm(result.voxel_basis_angstrom, axis=1) * 1e-10 * result.object.shape
        np.testing.assert_allclose(image["image_size"][()], [x, y, z])
        np.testing.assert_allclose(image["voxel_basis"][()], result.voxel_basis_angstrom * 1e-10)
        assert image["source_1/energy"][()] == pytest.approx(12398.42 / 1.3 * 1.602177e-19, rel=1e-5)
        assert image["z"][8] == 0.0
        assert np.diff(image["z"]) == pytest.approx(image["image_size"][2] / 16)
        assert image["is_fft_shifted"][()] == 0


def test_the_process_tells_how_the_image_was_made(finished, tmp_path):
    result = finished()
    with h5py.File(save_reconstruction(result, tmp_path / "result.cxi")) as file:
        process = file["entry_1/image_1/process_1"]
        assert text(process["version"]) == "0.1.0"
        assert "seed=7" in text(process["command"])
        assert process["seed"][()] == 7
        assert text(process["date"]) == "2026-03-01T07:30:00+00:00"
        assert yaml.safe_load(text(process["note_1/data"])) == result.provenance.plan
        assert "dark: subtracted 1.2 counts" in text(process["note_2/data"])
        assert "−h·u" in text(process["comments"])
        assert "exp(−i q·r)" in file["entry_1/image_1/data"].attrs["convention"]
        assert file["entry_1/result_1/chi"][()] == 0.0412


def test_the_measurement_is_the_second_image(finished, measured, tmp_path):
    with h5py.File(save_reconstruction(finished(), tmp_path / "result.cxi", diffraction=measured)) as file:
        image = file["entry_1/image_2"]
        np.testing.assert_array_equal(image["data"][()], measured.intensities)
        np.testing.assert_array_equal(image["mask"][()] == 0, measured.mask)
        assert text(image["data_space"]) == "diffraction"
        centre = tuple(n // 2 for n in measured.intensities.shape)
        corner = -np.array(centre) @ measured.grid.basis * 1e10
        coordinates = image["reciprocal_coordinates"]
        assert coordinates.shape == (3, *measured.intensities.shape)
        np.testing.assert_array_equal(coordinates[(slice(None), *centre)], 0)
        np.testing.assert_allclose(coordinates[:, 0, 0, 0], corner, rtol=1e-5)
        np.testing.assert_array_equal(file["entry_1/data_2/data"][()], measured.intensities)


def test_the_crystal_follows_with_its_strain_in_si(finished, measured, tmp_path):
    numbers = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    crystal = CrystalImage(
        object=(numbers + 1j).astype(np.complex64),
        support=numbers > 9,
        isosurface_level=0.5,
        bulk_amplitude=2.0,
        frame="laboratory",
        voxel_size_angstrom=50.0,
        displacement_angstrom=numbers,
        strain=numbers * 1e-4,
        d_spacing_angstrom=numbers + 2,
        q_bragg=np.array([0.0, 1.0, 2.0]),
        notes=("grid: cubic voxels",),
    )
    path = save_reconstruction(finished(), tmp_path / "all.cxi", diffraction=measured, crystal=crystal)
    assert broken_rules(path) == []
    with h5py.File(path) as file:
        image = file["entry_1/image_3"]
        np.testing.assert_array_equal(file["entry_1/data_3/data"][()], crystal.object)
        np.testing.assert_allclose(image["displacement"][()], numbers * 1e-10, rtol=1e-6)
        np.testing.assert_array_equal(image["strain"][()], crystal.strain)
        np.testing.assert_allclose(image["image_size"][()], [5 * 5e-9, 4 * 5e-9, 3 * 5e-9])
        assert image["displacement"].attrs["units"] == "m"
    only_crystal = save_reconstruction(finished(), tmp_path / "two.cxi", crystal=crystal)
    assert broken_rules(only_crystal) == []
