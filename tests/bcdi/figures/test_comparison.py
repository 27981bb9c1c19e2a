"""Comparisons: one scale a row, one panel an object, and one line a method."""

import numpy as np

from friedel.bcdi.figures.comparison import Row, comparison_figure, methods_figure


def test_every_object_of_a_row_has_the_same_slice_and_scale():
    volumes = [np.full((4, 5, 6), value) for value in (0.1, 0.9)]
    volumes[1][2, 0, 0] = np.nan
    rows = [Row("amplitude", volumes, "cividis", (0.0, 1.0)), Row("phase (rad)", volumes, "twilight", (-3.0, 3.0))]
    figure = comparison_figure(["truth", "network"], rows, index=2)
    panels = [axes for axes in figure.axes if axes.images]
    assert len(panels) == 4
    assert [axes.get_title() for axes in panels[:2]] == ["truth", "network"]
    assert {axes.images[0].get_clim() for axes in panels[:2]} == {(0.0, 1.0)}
    assert panels[1].images[0].get_array().mask[0, 0]
    assert panels[0].images[0].get_array().shape == (5, 6)
    across = comparison_figure(["truth"], [Row("a", volumes[:1], "cividis", (0.0, 1.0))], axis=2)
    assert across.axes[0].images[0].get_array().shape == (4, 5)


def test_methods_are_drawn_over_conditions_without_what_is_unknown():
    figure = methods_figure(["a", "b"], {"one": [0.5, np.nan], "two": [1.0, 0.9]}, {"one": [0.0, 1.0]})
    left, right = figure.axes
    assert len(left.lines) == 2
    assert np.isnan(left.lines[0].get_ydata()[1])
    assert right.lines[0].get_ydata()[1] == 100
