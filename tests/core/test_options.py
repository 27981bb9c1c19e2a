"""Strict options: unknown keys and wrong values fail with words that help."""

import pytest

from friedel.core.errors import FriedelError, PlanError
from friedel.core.options import Options


class Inner(Options):
    """A section."""

    threshold: float = 0.1
    """A number."""


class Outer(Options):
    """A plan."""

    seed: int = 0
    """A seed."""
    support: Inner = Inner()
    """A section."""
    maybe: Inner | None = None
    """An optional section."""


def test_plain_values_become_typed_ones():
    read = Outer.read({"seed": 3, "support": {"threshold": 0.2}})
    assert (read.seed, read.support.threshold) == (3, 0.2)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"sed": 1}, ["unknown key 'sed'", "did you mean 'seed'"]),
        ({"support": {"treshold": 1}}, ["support.treshold", "did you mean 'threshold'"]),
        ({"maybe": {"treshold": 1}}, ["maybe.treshold", "did you mean 'threshold'"]),
        ({"qqqq": 1}, ["valid keys: maybe, seed, support"]),
        ({"seed": "many"}, ["seed", "'many'"]),
    ],
)
def test_a_wrong_key_or_value_is_named_with_what_was_expected(values, words):
    with pytest.raises(PlanError, match=r"my\.yaml: ") as caught:
        Outer.read(values, origin="my.yaml")
    assert all(word in str(caught.value) for word in words)
    assert isinstance(caught.value, FriedelError)


def test_options_are_frozen_and_their_fields_carry_their_docstrings():
    with pytest.raises(ValueError, match="frozen"):
        Outer().seed = 1
    assert Outer.model_fields["seed"].description == "A seed."
