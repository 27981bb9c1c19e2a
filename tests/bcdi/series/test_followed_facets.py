"""Facets followed through a series: the same facet is found again on crystals that turned, or came out as the twin."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from friedel.bcdi.facets import Facet, facet_table, read_facet_table
from friedel.bcdi.series.facets import FILE, follow_facets, followed_figure, followed_table
from friedel.bcdi.series.report import write_series
from friedel.bcdi.series.run import SeriesResult, SeriesScan
from friedel.bcdi.strain.align import align
from friedel.core.errors import InputError
from friedel.core.outlines import cuboctahedron
from friedel.core.polyhedra import coverage

N, SIZE = 32, 18.0
TURN_DEG = 4.0


@dataclass
class _Together:
    names: tuple
    reference: str
    alignments: tuple
    strain: None = None


def _object(outline):
    """Return a crystal with a phase that no rotation leaves alone, ``(z, y, x)``."""
    axes = np.stack(np.meshgrid(*[np.arange(N) - N // 2.0] * 3, indexing="ij"), -1)[..., ::-1]
    share = coverage(outline, axes, np.eye(3)[::-1])
    return share * np.exp(0.02j * (axes[..., 0] ** 2 + 0.5 * axes[..., 1] * axes[..., 2] + 2 * axes[..., 2]))


def _facets(outline, strain):
    return [
        Facet(
            normal=outline.normals[k],
            distance_nm=float(outline.distances[k]),
            area_nm2=100.0 - k,
            share=0.1,
            flatness_nm=0.1,
            n_voxels=40,
            hkl=(1, 0, 0) if k == 0 else None,
            strain=strain + 1e-4 * k,
            strain_error=1e-5,
            displacement_angstrom=0.1,
            displacement_error_angstrom=0.01,
        )
        for k in outline.facets
    ]


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A crystal, the same turned by 4°, and the turned one's twin, whose normals face the other way."""
    folder = tmp_path_factory.mktemp("series")
    rotation = Rotation.from_rotvec(np.deg2rad(TURN_DEG) * np.array([0.6, 0.0, 0.8])).as_matrix()
    stood = cuboctahedron(1.0)
    stood = stood.transformed(Rotation.random(random_state=3).as_matrix() * SIZE / stood.extent.mean())
    turned = stood.transformed(rotation)
    first, second = _object(stood), None
    axes = np.stack(np.meshgrid(*[np.arange(N) - N // 2.0] * 3, indexing="ij"), -1)[..., ::-1] @ rotation
    phase = 0.02 * (axes[..., 0] ** 2 + 0.5 * axes[..., 1] * axes[..., 2] + 2 * axes[..., 2])
    second = np.abs(_object(turned)) * np.exp(1j * phase)
    twin = np.conj(np.roll(second[::-1, ::-1, ::-1], 1, axis=(0, 1, 2)))
    facets = {"a": _facets(stood, 0.0), "b": _facets(turned, 1e-3)}
    inverted = [replace(one, normal=-one.normal, displacement_angstrom=-0.1) for one in _facets(turned, 2e-3)]
    facets["c"] = inverted[::-1][:-1]  # one of them wasn't found
    for name, found in facets.items():
        (folder / name).mkdir()
        (folder / name / FILE).write_text(facet_table(found))
    alignments = tuple(align(moving, first) for moving in (first, second, twin))
    assert [how.inverted for how in alignments] == [False, False, True]
    return folder, _Together(("a", "b", "c"), "a", alignments)


def test_every_facet_is_itself_in_every_scan(series):
    followed = follow_facets(*series)
    assert [facet.name for facet in followed][:2] == ["(1 0 0)", "facet 2"]
    for k, facet in enumerate(followed):
        assert set(facet.scans) == ({"a", "b"} if k == 0 else {"a", "b", "c"})
        for strain, one in zip((0.0, 1e-3, 2e-3), facet.scans.values(), strict=False):
            assert one.strain == pytest.approx(strain + 1e-4 * k, abs=1e-9)
            assert one.displacement_angstrom == pytest.approx(0.1)
            assert one.normal @ facet.normal > np.cos(np.deg2rad(1.0))


def test_the_table_and_the_picture_tell_them_all(series):
    followed = follow_facets(*series)
    conditions = {name: {"temperature": 300.0 + 10 * k} for k, name in enumerate("abc")}
    rows = followed_table(followed, conditions).splitlines()
    assert len(rows) == 1 + 3 * len(followed) - 1
    assert rows[0].startswith("facet,normal_x,normal_y,normal_z,scan,temperature,area_nm2")
    assert rows[1].startswith("(1 0 0),")
    figure = followed_figure(
        followed, {name: given["temperature"] for name, given in conditions.items()}, "temperature"
    )
    assert len(figure.axes[0].containers) == 8
    assert followed_figure(followed, {"a": 300.0}, "temperature") is None


def test_the_report_of_a_series_shows_them(series, tmp_path):
    scans = tuple(SeriesScan(name=name, conditions={"temperature": 300.0 + k}) for k, name in enumerate("abc"))
    result = SeriesResult(
        members=scans, against="temperature", outliers={}, doubtful={}, together=series[1],
        facets=follow_facets(*series), files={},
    )  # fmt: skip
    written = write_series(tmp_path, result)
    assert written["facets"].read_text().count("\n") == 3 * len(result.facets)
    assert written["facets' strain"].read_bytes().startswith(b"\x89PNG")
    page = written["report"].read_text()
    assert "Mean strain of the voxels just under each facet" in page
    assert page.count("data:image/png") == 2


def test_what_isn_t_known_stays_unknown_in_the_table(series):
    known = _facets(cuboctahedron(1.0), 0.0)[1]
    bare = replace(known, strain=float("nan"), strain_error=float("nan"), displacement_angstrom=float("nan"))
    (again,) = read_facet_table(facet_table([bare]))
    assert again.hkl is None
    assert np.isnan(again.strain)
    assert np.isnan(again.off_deg)
    assert again.n_voxels == 40
    assert followed_figure(follow_facets(*series)[:0], {}, "scan") is None


def test_a_damaged_table_says_what_to_do(series, tmp_path):
    _, together = series
    for name in together.names:
        (tmp_path / name).mkdir()
        (tmp_path / name / FILE).write_text("hkl\n")
    (tmp_path / "b" / FILE).unlink()
    with pytest.raises(InputError, match=r"b/facets.csv: can't be read.*remove"):
        follow_facets(tmp_path, together)
