"""Where a member is drawn that lies far off the others."""

import pytest

from friedel.core.series.members import SeriesMember
from friedel.core.series.pages import SeriesPages


def _drawn(values, outlier):
    members = [SeriesMember(name=str(k), conditions={}, numbers={"a": value}) for k, value in enumerate(values)]
    pages = SeriesPages(
        members=members, against="place", outliers={outlier: "far"}, plotted=(("a", "a", 1.0),), kind="run"
    )
    (axes,) = pages.figure().axes
    return [float(line.get_ydata()[0]) for line in axes.lines if len(line.get_ydata()) == 1][: len(values)]


def test_a_member_far_off_stands_at_the_frame():
    assert max(_drawn([1.0, 1.1, 1.2, 1.3, 1.4, 90.0], "5")) < 2.0


def test_a_member_beside_equal_ones_stands_where_it_is():
    assert 3.0 in _drawn([1.0, 1.0, 1.0, 1.0, 1.0, 3.0], "5")


@pytest.mark.parametrize(("n", "named"), [(3, True), (40, False)])
def test_plots_along_no_condition_have_names_or_whole_numbers_and_shares_end_at_zero(n, named):
    members = [
        SeriesMember(name=f"r{k}", conditions={}, numbers={"blank": 0.0}, errors={"blank": 0.02}) for k in range(n)
    ]
    pages = SeriesPages(
        members=members, against="run", outliers={}, plotted=(("blank", "blank (%)", 100.0),), kind="run"
    )
    figure = pages.figure()
    figure.canvas.draw()
    (axes,) = figure.axes
    assert all(tick == round(tick) for tick in axes.get_xticks())
    assert ("r1" in [label.get_text() for label in axes.get_xticklabels()]) is named
    ends = [segment[:, 1] for container in axes.containers for segment in container[2][0].get_segments()]
    assert min(end.min() for end in ends) == 0.0
    assert max(end.max() for end in ends) == pytest.approx(2.0)
