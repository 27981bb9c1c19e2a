"""Values and their errors in words."""

import pytest

from friedel.core.statistics import with_error


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [(2.354605, 2.7e-6, "2.3546050 ± 0.0000027"), (194.5, 12.3, "194 ± 12"), (0.1658, 0.0199, "0.166 ± 0.020")],
)
def test_a_value_has_as_many_figures_as_its_error(value, error, said):
    assert with_error(value, error) == said


def test_an_unknown_error_isn_t_shown():
    assert with_error(1.23456, float("nan")) == "1.235"
