"""Where a member is drawn that lies far off the others."""

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
