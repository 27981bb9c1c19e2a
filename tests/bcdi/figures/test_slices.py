import math

import numpy as np
import pytest

from friedel.bcdi.figures.slices import Panel, crystal_slices, reconstruction_slices, signed_panel, slices_figure


def images(figure):
    return [axes.images[0] for axes in figure.axes if axes.images]


def words(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_a_crystal_shows_four_quantities_in_three_planes(strained_crystal):
    figure = crystal_slices(strained_crystal)
    assert len(images(figure)) == 12
    rows = [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()]
    assert rows == ["amplitude", "phase (rad)", "displacement (Å)", "strain (10⁻³)"]
    maps = [image.get_cmap().name for image in images(figure)[::3]]
    assert maps == ["cividis", "twilight_shifted", "RdBu_r", "RdBu_r"]
    assert images(figure)[3].get_clim() == (-math.pi, math.pi)
    low, high = images(figure)[9].get_clim()
    assert -low == high == pytest.approx(1.0)


def test_every_row_has_a_scale_bar_in_nm_of_its_length(strained_crystal):
    figure = crystal_slices(strained_crystal)
    labels = [word for word in words(figure) if word.endswith(" nm")]
    assert len(labels) == 4
    bar = figure.axes[0].patches[0]
    assert f"{bar.get_width():g} nm" == labels[0]


def test_the_planes_show_the_axes_they_name():
    values = np.zeros((9, 11, 13))
    values[4, 5, 8], values[4, 9, 6], values[7, 5, 6] = 1, 2, 3  # off the middle along x, y and z
    support = np.ones(values.shape, bool)
    panel = Panel(title="test", values=values, colour_map="cividis", limits=(0, 3))
    figure = slices_figure([panel], support=support, voxel_size=(3.0, 2.0, 1.0))
    across_z, across_y, across_x = (image.get_array() for image in images(figure))
    assert (across_z[5, 8], across_z[9, 6]) == (1, 2)  # (y up, x right)
    assert (across_y[4, 8], across_y[7, 6]) == (1, 3)  # (z up, x right)
    assert (across_x[9, 4], across_x[5, 7]) == (2, 3)  # (y up, z right)
    assert [image.get_extent() for image in images(figure)] == [[0, 13, 0, 22], [0, 13, 0, 27], [0, 27, 0, 22]]
    titles = [axes.get_title() for axes in figure.axes[:3]]
    assert titles == ["y ↑  x →   (across z)", "z ↑  x →   (across y)", "y ↑  z →   (across x)"]


def test_nothing_is_shown_outside_the_support(strained_crystal):
    for image in images(crystal_slices(strained_crystal)):
        shown = ~np.ma.getmaskarray(image.get_array())
        assert 0 < shown.sum() < shown.size


def test_a_reconstruction_is_in_nm_with_geometry_and_in_voxels_without(finished):
    figure = reconstruction_slices(finished())
    assert len(images(figure)) == 6
    assert any(word.endswith(" nm") for word in words(figure))
    assert any(word.endswith(" voxels") for word in words(reconstruction_slices(finished(geometry=None))))


def test_a_few_wild_voxels_do_not_set_the_limits():
    values = np.linspace(-1, 1, 1000).reshape(10, 10, 10)
    values[0, 0, 0], values[0, 0, 1] = 1e6, np.nan
    low, high = signed_panel("strain", values, np.ones(values.shape, bool)).limits
    assert -low == high
    assert 0.97 < high < 1.0
    assert signed_panel("strain", values * 0, np.ones(values.shape, bool)).limits == (-1.0, 1.0)
