import base64
import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from friedel.bcdi.records import CrystalErrors, CrystalImage, Diffraction, Uncertainty
from friedel.bcdi.report.report import write_report
from friedel.core.errors import InputError

HOSTILE = "scan <script>alert(\"54\")</script> & 'more'"


class Page(HTMLParser):
    """What a browser would make of the page: the text it shows, its tags, and its pictures."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_data(self, data):
        if not self.open:
            self.text.append(data)

    @property
    def shown(self):
        return " ".join("".join(self.text).split())

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture(scope="module")
def crystal(finished):
    result = finished()
    x = np.arange(result.object.shape[2]) - result.object.shape[2] // 2
    strain = np.where(result.support, 2e-4 * x, np.nan).astype(np.float32)
    return CrystalImage(
        object=result.object,
        support=result.support,
        isosurface_level=0.45,
        bulk_amplitude=30.0,
        frame="laboratory",
        voxel_size_angstrom=95.0,
        displacement_angstrom=strain * 1000,
        strain=strain,
        direction=np.array([0.0, 0.6, 0.8]),
        notes=("crop: the peak is 4 pixels from the edge", "grid: cubic voxels of 95.0 Å"),
    )


@pytest.fixture(scope="module")
def measurement(finished):
    shape = finished().object.shape
    mask = np.ones(shape, bool)
    mask[:, 3] = False
    return Diffraction(intensities=np.full(shape, 2.0, np.float32), mask=mask, grid=finished().grid)


@pytest.fixture(scope="module")
def full_report(finished, crystal, measurement, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    written = write_report(
        path,
        reconstruction=finished(source=HOSTILE),
        diffraction=measurement,
        crystal=crystal,
        notes=[("reading", "read 100 frames")],
        truth={"correlation": 0.99712},
    )
    assert written == path
    return path.read_text(encoding="utf-8")


def test_the_numbers_are_on_the_page(full_report):
    shown = Page(full_report).shown
    for wanted in ("0.0412", "0.0466", "1.040", "2 of 3", "0.9870", "0.083 rad", "96.2%", "x 11.4, y 12.2, z 14.9 nm"):
        assert wanted in shown
    assert "The checks passed" in shown
    assert "support 0.18 of six thresholds fits the held-out voxels best" in shown
    assert "reading: read 100 frames" in shown
    assert shown.count("the peak is 4 pixels from the edge") == 1  # told by two, listed once
    assert "grid: cubic voxels of 95.0 Å" in shown
    assert "0.9971" in shown
    assert "−h·u" in shown
    assert "schedule: 3*(20*ER+180*HIO)+20*ER" in shown
    assert "<dt>seed</dt><dd>7</dd>" in full_report
    assert "friedel 0.1.0, python 3.11.2" in shown


def test_the_page_loads_nothing(full_report):
    page = Page(full_report)
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "data", "action"):
            assert attributes.get(name, "data:").startswith("data:")
    assert not re.search(r"https?://|//[a-z0-9.-]+\.[a-z]{2,}/|@import|url\(", full_report)
    policy = next(item["content"] for item in page.all("meta") if item.get("http-equiv"))
    assert "default-src 'none'" in policy


def test_every_picture_is_inside_with_words_for_it(full_report):
    pictures = Page(full_report).all("img")
    assert len(pictures) == 7
    for picture in pictures:
        kind, data = picture["src"].split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
        assert len(picture["alt"]) > 20
    assert "displacement and strain" in pictures[1]["alt"]


def test_a_hostile_name_is_only_text(full_report):
    page = Page(full_report)
    assert HOSTILE in page.shown
    assert len(page.all("script")) == 2  # the mesh and the viewer, none from the name
    assert "<script>alert" not in full_report


def test_the_turnable_view_holds_the_surface(full_report):
    mesh = json.loads(re.search(r'id="mesh">(.*?)</script>', full_report, re.DOTALL)[1])
    places = np.frombuffer(base64.b64decode(mesh["places"]), "<i2").reshape(-1, 3).astype(float)
    normals = np.frombuffer(base64.b64decode(mesh["normals"]), "i1").reshape(-1, 3).astype(float)
    triangles = np.frombuffer(base64.b64decode(mesh["triangles"]), "<u4")
    assert triangles.size == mesh["corners"]
    assert triangles.max() == len(places) - 1
    assert np.abs(places).max() <= 32767
    assert np.mean(np.sum(places * normals, axis=1) > 0) > 0.95
    assert len(base64.b64decode(mesh["colours"])) == 3 * len(places)


def test_a_warning_stands_out(full_report):
    assert re.search(r'<li class="warned"><b>crop</b>: the peak is 4 pixels', full_report)


def test_a_failed_check_is_the_headline(finished, tmp_path):
    text = write_report(tmp_path / "r.html", reconstruction=finished(trusted=False)).read_text(encoding="utf-8")
    assert "A check failed: treat with caution" in Page(text).shown
    assert 'class="verdict caution"' in text


def test_error_bars_have_their_pictures_and_rows(finished, crystal, tmp_path):
    values = np.where(crystal.support, np.float32(1e-5), np.nan).astype(np.float32)
    errors = CrystalErrors(
        phase_rad=values * 1e4,
        displacement_angstrom=values * 1e3,
        strain=values,
        d0_angstrom=2e-4,
        diameter=2000.0,
        diameter_error=13.0,
    )
    result = finished()
    flat = np.where(result.support, np.float32(0.1), np.nan)
    uncertainty = Uncertainty(
        deviations=np.zeros((1, int(result.support.sum())), np.complex64),
        origins=("photons",),
        phase_rad=flat,
        amplitude=flat,
        phase_rms_rad=0.1,
        photons_rad=0.1,
        solutions_rad=0.0,
        misfit=1.01,
        diameter_voxels=10.0,
        diameter_error_voxels=0.1,
        n_solutions=0,
    )
    quality = dataclasses.replace(result.quality, phase_error_rad=0.1)
    result = dataclasses.replace(result, uncertainty=uncertainty, quality=quality)
    image = dataclasses.replace(crystal, errors=errors, d0_angstrom=2.3545)
    page = Page(write_report(tmp_path / "r.html", reconstruction=result, crystal=image).read_text(encoding="utf-8"))
    assert "can be trusted to 0.1 rad" in page.shown
    assert "200.0 ± 1.3 nm" in page.shown
    assert "2.35450 ± 0.00020 Å" in page.shown
    assert "How sure each voxel is" in page.shown
    assert sum("standard errors" in picture["alt"] for picture in page.all("img")) == 2


def test_a_bare_result_still_gets_its_page(finished, tmp_path):
    result = finished(geometry=None, n_starts=1)
    bare = dataclasses.replace(result.quality, chi_free=None, prtf=None, fsc=None, resolution_nm=None, reasons=())
    result = dataclasses.replace(
        result, object=np.zeros_like(result.object), support=np.zeros_like(result.support), quality=bare, starts=()
    )
    page = Page(write_report(tmp_path / "r.html", reconstruction=result).read_text(encoding="utf-8"))
    assert "size unknown" in page.shown
    assert "No choice was recorded" in page.shown
    assert len(page.all("img")) == 1
    assert page.all("script") == []


def test_a_page_that_cannot_be_written_leaves_the_old_one(finished, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")

    def full(self, text, encoding):
        self.write_bytes(text[:100].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(InputError, match=r"report\.html: can't be written \(No space left"):
        write_report(path, reconstruction=finished())
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
