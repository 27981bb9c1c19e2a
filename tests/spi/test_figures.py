"""Figures of an evaluation show what they were given."""

import numpy as np
import pytest

from friedel.spi.figures import (
    depths_figure,
    frame_sheet_figure,
    precision_recall_figure,
    reliability_figure,
    shares_figure,
)


def test_reliability_leaves_empty_bins_out():
    foretold, observed = np.array([0.1, np.nan, 0.9]), np.array([0.2, np.nan, 0.8])
    figure = reliability_figure({"here": ((foretold, observed), np.array([5, 0, 7]))})
    (_, line), below = figure.axes[0].lines, figure.axes[1]
    assert line.get_xydata() == pytest.approx(np.array([[0.1, 0.2], [0.9, 0.8]]))
    assert below.patches


def test_precision_recall_has_a_curve_a_rate():
    curve = (np.array([1.0, 0.5]), np.array([0.5, 1.0]))
    figure = precision_recall_figure({"1 %": curve, "5 %": curve})
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["1 %", "5 %"]


def test_bars_are_percent_and_missing_ones_a_dash():
    figure = shares_figure(["cube", "torus"], {"a": [0.25, np.nan]}, x="missed")
    assert [bar.get_width() for bar in figure.axes[0].patches] == [25.0, 0.0]
    assert {"25.0", "–"} <= {text.get_text() for text in figure.axes[0].texts}


def test_depths_are_in_order():
    figure = depths_figure([(2, 2), (1, 1)], [0.9, 0.8], [0.7, 0.6])
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["1, 1", "2, 2"]
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([80, 90])


def test_a_sheet_shows_every_frame_and_hides_unknown_pixels():
    frames = np.random.default_rng(0).poisson(4, (5, 70, 70)).astype(float)
    frames[2] = np.nan
    mask = np.ones((70, 70), dtype=bool)
    mask[:10] = False
    figure = frame_sheet_figure(frames, [str(number) for number in range(5)], mask=mask, columns=3)
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert len(shown) == 5
    assert shown[0].mask[:10].all()
    assert not shown[0].mask[10:].any()
    assert shown[2].mask.all()
