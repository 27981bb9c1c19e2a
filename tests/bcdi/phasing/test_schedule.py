"""The schedule notation: what it means, what it refuses, and that any schedule written out reads back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from friedel.bcdi.phasing.iterations.schedule import MAX_ITERATIONS, method, parse_schedule
from friedel.core.errors import PlanError

METHODS = ["ER", "HIO", "RAAR", "DM"]


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("20*ER", (("ER", 20),)),
        ("ER", (("ER", 1),)),
        ("20*ER+180*HIO", (("ER", 20), ("HIO", 180))),
        ("2*(20*ER+180*HIO)+20*ER", (("ER", 20), ("HIO", 180), ("ER", 20), ("HIO", 180), ("ER", 20))),
        ("2*(3*(ER+DM)+RAAR)", (*(("ER", 1), ("DM", 1)) * 3, ("RAAR", 1), *(("ER", 1), ("DM", 1)) * 3, ("RAAR", 1))),
        ("(5*ER+5*ER)+10*er", (("ER", 20),)),
        (" 3 * hio +\tRaar ", (("HIO", 3), ("RAAR", 1))),
        ("0*ER+5*HIO", (("ER", 0), ("HIO", 5))),
    ],
)
def test_a_schedule_says_what_is_done_in_order(text: str, runs: tuple[tuple[str, int], ...]) -> None:
    assert parse_schedule(text) == runs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "a method or '\\(' at its end"),
        ("20", "'\\*' after the count at its end"),
        ("20ER", "'\\*' after the count at 'ER'"),
        ("20*", "a method or '\\('"),
        ("20*(ER+HIO", "'\\)' at its end"),
        ("20*ER)", "'\\+' or the end at '\\)'"),
        ("20*ER++5*HIO", "a method or '\\(' at '\\+5\\*HIO'"),
        ("20*ER 5*HIO", "'\\+' or the end at '5\\*HIO'"),
        ("-3*ER", "a method or '\\('"),
        ("2.5*ER", "'\\*' after the count"),
        ("ER;import os", "'\\+' or the end"),
    ],
)
def test_what_breaks_the_grammar_is_shown_with_a_model_to_copy(text: str, expected: str) -> None:
    with pytest.raises(PlanError, match=expected) as error:
        parse_schedule(text)
    assert "3*(20*ER+180*HIO)+20*ER" in str(error.value)


@pytest.mark.parametrize(("name", "near"), [("HI0", None), ("HIOO", "HIO"), ("RAR", "RAAR"), ("EER", "ER")])
def test_an_unknown_method_names_the_nearest_one(name: str, near: str | None) -> None:
    with pytest.raises(PlanError) as error:
        parse_schedule(f"20*{name}")
    assert near is None or f"did you mean {near!r}" in str(error.value)


def test_a_method_unlike_any_other_lists_them_all() -> None:
    with pytest.raises(PlanError, match=r"'XYZ'.*known: ER, HIO, RAAR, DM"):
        parse_schedule("XYZ")


@pytest.mark.parametrize("text", ["0*ER", f"{MAX_ITERATIONS + 1}*ER", "9999*(9999*(9999*ER))", "1000000*ER+ER"])
def test_no_iterations_and_absurdly_many_are_refused(text: str) -> None:
    with pytest.raises(PlanError, match="iterations"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("name", "keep", "feedback"), [("ER", 0, 0), ("HIO", 1, -0.8), ("RAAR", 0.8, -0.6), ("DM", 1, -1)]
)
def test_methods_differ_only_outside_the_support(name: str, keep: float, feedback: float) -> None:
    found = method(name, 0.8)
    assert (found.keep, found.feedback) == pytest.approx((keep, feedback))


schedules = st.recursive(
    st.sampled_from(METHODS).map(lambda name: (name, [name])),
    lambda inner: st.one_of(
        st.tuples(st.integers(1, 4), inner).map(lambda t: (f"{t[0]}*({t[1][0]})", t[0] * t[1][1])),
        st.tuples(inner, inner).map(lambda t: (f"{t[0][0]} + {t[1][0]}", t[0][1] + t[1][1])),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(schedules)
def test_a_schedule_unrolls_to_the_steps_it_was_written_from(written: tuple[str, list[str]]) -> None:
    text, steps = written
    runs = parse_schedule(text)
    assert [name for name, count in runs for _ in range(count)] == steps
    assert parse_schedule("+".join(f"{count}*{name}" for name, count in runs)) == runs


@settings(deadline=None)
@given(st.text(max_size=20))
def test_any_text_is_a_schedule_or_a_clear_error(text: str) -> None:
    try:
        runs = parse_schedule(text)
    except PlanError as error:
        assert str(error)
    else:
        assert sum(count for _, count in runs) > 0
