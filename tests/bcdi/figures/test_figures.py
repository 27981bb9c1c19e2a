import dataclasses
from io import BytesIO

import numpy as np
import pytest
from matplotlib.colors import LogNorm, to_hex

from friedel.bcdi.figures.curves import crossing, error_curves_figure, histogram_figure, resolution_figure
from friedel.bcdi.figures.intensities import intensities_figure
from friedel.bcdi.figures.surface import Placing, phase_mesh, surface_figure
from friedel.bcdi.records import Curve
from friedel.core.figures import BLUE, FAINT, round_length


def test_error_curves_set_the_used_starts_apart(finished):
    starts = finished(n_starts=4).starts
    axes = error_curves_figure(starts).axes[0]
    curves = [line for line in axes.lines if line.get_marker() == "None"]
    assert [to_hex(line.get_color()) for line in curves] == [FAINT, BLUE, BLUE, BLUE]
    np.testing.assert_array_equal(curves[1].get_ydata(), starts[0].chi_curve)
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [
        "1 start set aside",
        "3 starts in the result",
    ]


@pytest.mark.parametrize("high", [0.11, 0.4, 3.0])
def test_error_curves_have_numbers_on_their_axis_over_any_range(finished, high):
    curve = np.linspace(high, 0.08, 9)
    starts = [dataclasses.replace(start, chi_curve=curve, iterations=np.arange(9)) for start in finished().starts]
    figure = error_curves_figure(starts)
    figure.canvas.draw()
    axes = figure.axes[0]
    low, top = axes.get_ylim()
    shown = [label for label in axes.get_yticklabels() if low <= label.get_position()[1] <= top and label.get_text()]
    assert len(shown) >= 3


def test_error_curves_without_starts_say_so():
    assert error_curves_figure([]).axes[0].texts[0].get_text() == "no curves were recorded"


def test_resolution_marks_where_the_curves_fall_below_their_criteria(finished):
    quality = finished().quality
    prtf, fsc = resolution_figure(quality).axes
    assert prtf.texts[0].get_text() == f"{1 / ((1 - np.exp(-1)) / 2):.3g} voxels"
    assert fsc.texts[0].get_text() == "3.33 voxels"  # 1 − f falls below 0.7 at 0.3
    assert [text.get_text() for text in fsc.get_legend().get_texts()] == ["FSC", "half-bit criterion"]


def test_resolution_in_nm_when_the_frequency_is_in_inverse_angstrom(finished):
    frequency = np.linspace(0, 0.05, 6)
    curve = Curve(frequency=frequency, value=1 - 20 * frequency, threshold=np.full(6, 0.5), criterion="1/e", unit="1/Å")
    quality = dataclasses.replace(finished().quality, prtf=curve, fsc=None)
    (axes,) = resolution_figure(quality).axes
    assert axes.texts[0].get_text() == "4 nm"  # at 0.025 per Å = 0.25 per nm
    assert axes.get_xlabel() == "spatial frequency (1/nm)"


def test_the_resolution_s_axis_ends_where_the_curve_does(finished):
    frequency, value = np.linspace(0, 0.05, 11), np.where(np.arange(11) < 5, 0.97, np.nan)
    curve = Curve(frequency=frequency, value=value, threshold=np.full(11, 0.5), criterion="1/e", unit="1/Å")
    (axes,) = resolution_figure(dataclasses.replace(finished().quality, prtf=curve, fsc=None)).axes
    assert axes.get_xlim()[1] == pytest.approx(1.05 * 0.2)  # 0.02 per Å


def test_no_curve_no_figure_and_no_crossing_no_mark(finished):
    assert resolution_figure(dataclasses.replace(finished().quality, prtf=None, fsc=None)) is None
    flat = Curve(frequency=np.arange(4.0), value=np.ones(4), threshold=np.zeros(4), criterion="1/e")
    assert crossing(flat) is None


def test_the_histogram_counts_the_support_and_marks_the_level():
    amplitude = np.array([0.2, 0.9, 1.0, 1.1, 5.0]).reshape(1, 1, 5) * 3
    support = np.array([True, True, True, True, False]).reshape(1, 1, 5)
    axes = histogram_figure(amplitude, support, level=0.5, bulk=3.0).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == 4
    assert {to_hex(bar.get_facecolor()) for bar in axes.patches if bar.get_x() < 0.47} == {FAINT}
    assert axes.lines[0].get_xdata() == [0.5, 0.5]
    assert axes.get_title(loc="right") == "75% of the support lies inside the surface"


def test_intensities_share_one_scale_and_leave_the_unknown_out():
    generator = np.random.default_rng(0)
    modelled = np.full((8, 10, 12), 50.0)
    measured = generator.poisson(modelled).astype(float)
    mask = np.ones(modelled.shape, bool)
    mask[:, 3] = False
    measured[~mask] = np.nan
    figure = intensities_figure(measured, modelled, mask)
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert len(images) == 9
    assert images[0].norm is images[3].norm
    assert isinstance(images[0].norm, LogNorm)
    assert images[0].norm.vmax == np.nanmax(measured)
    hidden = np.ma.getmaskarray(images[0].get_array())
    assert hidden[3].all()
    assert not np.delete(hidden, 3, axis=0).any()
    assert not np.ma.getmaskarray(images[3].get_array()).any()  # the model predicts what wasn't measured
    assert figure.axes[0].patches[0].get_hatch() == "////"
    sigmas = images[6].get_array().compressed()
    assert np.std(sigmas) == pytest.approx(1.0, abs=0.2)
    assert np.mean(sigmas) == pytest.approx(0.0, abs=0.3)


def test_the_surface_is_drawn_from_two_sides_with_its_size(finished):
    result = finished()
    mesh = phase_mesh(result.object, level=15.0, placing=Placing(basis=result.voxel_basis_angstrom / 10))
    figure = surface_figure(mesh)
    panels = [axes for axes in figure.axes if axes.name == "3d"]
    figure.savefig(BytesIO(), dpi=20)  # a 3D collection knows its faces once it is drawn
    assert [len(axes.collections[0].get_facecolor()) for axes in panels] == [len(mesh.triangles)] * 2
    assert (panels[0].azim - panels[1].azim) % 360 == 180
    size = np.ptp(mesh.vertices, axis=0)
    assert figure.get_supxlabel() == f"{size[0]:.0f} × {size[1]:.0f} × {size[2]:.0f} nm along x, y, z"
    assert {"x", "y (up)", "z (beam)"} <= {text.get_text() for text in panels[0].texts}
    bar = next(axes for axes in figure.axes if axes.name != "3d")
    assert bar.get_ylabel() == "phase (rad)"


@pytest.mark.parametrize(("about", "length"), [(249, 200), (99.9, 50), (1.0, 1.0), (0.034, 0.02)])
def test_scale_bars_have_round_lengths(about, length):
    assert round_length(about) == pytest.approx(length)
