"""The pictures of a merge's report: what is drawn has its scale, whatever its background."""

from types import SimpleNamespace

import numpy as np
import pytest

from friedel.spi.merge.report import density_figure, frames_figure, shells, slices

N = 9
Q = np.linspace(1.0, 9.0, N)


@pytest.fixture
def merged():
    rng = np.random.default_rng(0)
    turns = rng.normal(size=(40, 4))
    quality = SimpleNamespace(q=Q, halves=np.full(N, 0.8), corrected=np.full(N, 0.9), chance=np.full(N, 0.1))
    return SimpleNamespace(
        intensity=rng.random((N, N, N)), exposure=np.ones((N, N, N)), quality=quality, fit=rng.normal(1, 0.1, 40),
        orientations=turns / np.linalg.norm(turns, axis=1)[:, None], used=np.arange(40) > 1,
        uncertainty=rng.random(40), fluence=rng.random(40),
    )  # fmt: skip


def test_colours_have_their_scale_and_planes_their_axes(merged):
    *planes, bar = slices(merged).axes
    assert [axes.get_title() for axes in planes] == ["x →  y ↑", "x →  z ↑", "y →  z ↑"]
    assert bar.get_ylabel() == "log₁₀ of the intensity"
    assert len({axes.images[0].get_clim() for axes in planes}) == 1
    figure = frames_figure(merged)
    coverage = figure.axes[0]
    assert figure.axes[-1].get_ylabel() == "frames"
    assert (*coverage.get_xlim(), *coverage.get_ylim()) == (-180, 180, -1, 1)  # all directions, empty ones too


def test_the_legend_stands_beside_the_curves(merged):
    figure = shells(merged)
    figure.canvas.draw()
    axes = figure.axes[0]
    assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1 - 1


def test_a_density_has_a_scale_bar_that_its_background_does_not_hide():
    density = np.zeros((21, 21, 21), np.float32)
    density[7:14, 7:14, 7:14] = 1
    first, *_ = density_figure(SimpleNamespace(density=density, q=Q, prtf=np.ones(N))).axes
    (label,) = first.texts
    assert label.get_text().endswith("voxels")
    assert label.get_path_effects()
