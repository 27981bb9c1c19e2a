"""The distribution figure: every crystal is counted, medians are written."""

import numpy as np
import pytest

from friedel.bcdi.figures.curves import distribution_figure


@pytest.mark.parametrize("n", [1, 300])
def test_every_crystal_is_counted_and_the_medians_are_written(n: int) -> None:
    strain, phase = np.linspace(1e-3, 5e-3, n), np.linspace(0.0, 2 * np.pi, n)
    figure = distribution_figure(strain, phase)
    for axes in figure.axes:
        assert sum(patch.get_height() for patch in axes.patches) == n
    assert figure.axes[0].get_title(loc="right") == f"median {np.median(strain) * 1e3:.3g} × 10⁻³"
    figure.canvas.draw()
    assert all(tick == round(tick) for axes in figure.axes for tick in axes.get_yticks())
