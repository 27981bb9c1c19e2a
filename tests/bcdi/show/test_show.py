"""What a person looks at: fields with their units and colours, their way to the page and back, and the page itself."""

import base64
import json
import re

import numpy as np
import pytest

from friedel.bcdi.results.save import save_reconstruction
from friedel.bcdi.results.volumes import read_volumes
from friedel.bcdi.show.fields import PATTERN, described, fields_of, packed, read_fields, surface
from friedel.bcdi.show.page import difference, html_page, show
from friedel.bcdi.strain.analysis import analyse
from friedel.core.errors import InputError


@pytest.fixture(scope="module")
def crystal(finished):
    return analyse(finished(geometry="square"))


@pytest.fixture(scope="module")
def archive(finished, crystal, tmp_path_factory):
    path = tmp_path_factory.mktemp("archive") / "reconstruction.cxi"
    return save_reconstruction(finished(geometry="square"), path, crystal=crystal)


def test_a_file_and_the_record_it_came_from_show_the_same(archive, crystal, finished):
    stored, direct = read_fields(archive), fields_of(crystal, reconstruction=finished(geometry="square"))
    assert {field.name for field in stored.fields} == {field.name for field in direct.fields}
    assert stored.unit == direct.unit == "nm"
    assert stored.step == pytest.approx(crystal.voxel_size_angstrom / 10)
    for field in direct.fields:
        np.testing.assert_allclose(stored.named(field.name).values, field.values, rtol=0.03, atol=2e-4)
        assert stored.named(field.name).unit == field.unit
    np.testing.assert_array_equal(stored.inside, crystal.support)
    np.testing.assert_allclose(stored.named("strain").values, 1e3 * crystal.strain, rtol=1e-5)
    assert stored.about["misfit χ"] == "0.0412"


def test_a_quantity_that_nobody_foresaw_is_shown_too(archive, crystal, tmp_path):
    import h5py

    path = tmp_path / "with_error.cxi"
    path.write_bytes(archive.read_bytes())
    with h5py.File(path, "a") as file:
        file["entry_1/image_2/strain_error"] = np.full(crystal.object.shape, 2e-4, np.float32)
    error = read_fields(path).named("strain error")
    assert error.unit == "10⁻³"
    np.testing.assert_allclose(error.values, 0.2, rtol=1e-6)


def test_values_on_their_way_lose_less_than_a_part_in_sixty_thousand(crystal):
    strain = fields_of(crystal).named("strain")
    raw = np.frombuffer(packed(strain), "<i2").reshape(strain.values.shape).astype(float)
    low, high = np.nanmin(strain.values), np.nanmax(strain.values)
    back = np.where(raw == -32768, np.nan, low + (raw + 32767) * (high - low) / 65534)
    np.testing.assert_array_equal(np.isnan(back), np.isnan(strain.values))
    np.testing.assert_allclose(back, strain.values, atol=(high - low) / 60_000, rtol=0)


def test_the_surface_lies_where_the_amplitude_is_half_the_bulk_s(crystal):
    from scipy.ndimage import map_coordinates

    fields = fields_of(crystal)
    corners = np.frombuffer(base64.b64decode(surface(fields)["corners"]), "<f4").reshape(-1, 3)
    at = map_coordinates(fields.named("amplitude").values, corners.T, order=1)
    inside = np.all((corners > 0.5) & (corners < np.array(crystal.object.shape) - 1.5), axis=1)
    np.testing.assert_allclose(at[inside], 0.5, atol=0.02)


def test_without_geometry_lengths_are_voxels_and_there_is_no_strain(finished):
    result = finished(geometry=None)
    fields = fields_of(analyse(result), reconstruction=result)
    assert (fields.unit, fields.step) == ("voxels", 1.0)
    assert [field.name for field in fields.fields] == ["amplitude", "phase"]


def test_the_pattern_goes_along_on_its_own_voxels(crystal):
    from friedel.bcdi.records import Diffraction

    counts = np.full((4, 5, 6), 9.0, np.float32)
    mask = np.ones(counts.shape, bool)
    mask[0] = False
    pattern = fields_of(crystal, diffraction=Diffraction(intensities=counts, mask=mask)).named(PATTERN)
    assert pattern.on_pattern
    np.testing.assert_allclose(pattern.values[1:], 1.0)
    assert np.isnan(pattern.values[0]).all()


def test_the_page_holds_everything_and_fetches_nothing(crystal, finished):
    page = html_page(fields_of(crystal, reconstruction=finished(source="<script>alert(1)</script>")))
    assert "<script>alert" not in page
    assert not re.search(r"""(src|href)=["'](https?:)?//""", page)
    assert "import " not in page.split('<script type="module">')[1].split("\n")[0]
    data = json.loads(re.search(r'id="data">(.*?)</script>', page).group(1))
    assert [field["name"] for field in data["about"]["fields"]][:2] == ["amplitude", "phase"]
    assert len(data["volumes"]) == len(data["about"]["fields"])


def test_a_notebook_gets_the_page_a_picture_and_words(finished, tmp_path):
    shown = show(finished(geometry="square"))
    bundle = shown._repr_mimebundle_()
    assert bundle["text/html"].startswith("<iframe srcdoc=")
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert "0.0412" in bundle["text/plain"]
    assert shown.save(tmp_path / "result.html").read_text().startswith("<!doctype html>")


def test_a_result_less_itself_is_nothing_and_what_isn_t_there_is_named(crystal):
    fields = fields_of(crystal)
    for field in difference(fields, fields).fields:
        assert np.nanmax(np.abs(field.values)) == 0
    with pytest.raises(InputError, match="no field 'stress'"):
        fields.named("stress")
    assert described(fields)["start"] == [round(float(v.mean())) for v in np.nonzero(crystal.support)]


def test_another_program_s_file_is_refused(tmp_path):
    (tmp_path / "other.cxi").write_bytes(b"not HDF5")
    with pytest.raises(InputError, match="not a result that friedel wrote"):
        read_volumes(tmp_path / "other.cxi")
