"""The field's notation for schedules, `"3*(20*ER+180*HIO)+20*ER"`, read by a small parser (never by `eval`).

    schedule := term ("+" term)*
    term     := [count "*"] (method | "(" schedule ")")

A method stands for one iteration; white space and the case of names don't matter.
"""

import difflib
import re
from dataclasses import dataclass
from itertools import groupby

from friedel.core.errors import PlanError

_TOKEN = re.compile(r"\s*(?:(\d+)|([A-Za-z]+)|([*+()]))")
MAX_ITERATIONS = 1_000_000  # guards against slips of the pen in nested products; usual schedules have hundreds


@dataclass(frozen=True)
class Method:
    """An iterative method under a support constraint, as what it does outside the support.

    All of the field's methods put the modulus projection P inside the support, and differ only outside, where the
    next iterate is ``keep·ψ + feedback·P`` (Marchesini, Rev. Sci. Instrum. 78, 011301, 2007, Table I). A constraint C
    on the values inside (see `projections.towards_uniform`) acts on the reflection, ``P + strength·(C − 1)(2P − ψ)``,
    or, without strength, on P itself.
    """

    name: str
    keep: float
    feedback: float
    strength: float


def method(name: str, beta: float) -> Method:
    """Return a method by its name in a schedule.

    Parameters
    ----------
    name : str
        ER (error reduction), HIO (hybrid input-output), RAAR (relaxed averaged alternating reflections) or
        DM (difference map at its customary β = 1).
    beta : float
        Feedback of HIO and RAAR.

    Raises
    ------
    PlanError
        If there is no such method.
    """
    known = {
        "ER": (0.0, 0.0, 0.0),
        "HIO": (1.0, -beta, beta),
        "RAAR": (beta, 1.0 - 2.0 * beta, beta),
        "DM": (1.0, -1.0, 1.0),
    }
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise PlanError(
            f"unknown method {name!r} in the schedule; "
            + (f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}")
        )
    return Method(name, *known[name])


def parse_schedule(text: str) -> tuple[tuple[str, int], ...]:
    """Read a schedule into runs of one method.

    Parameters
    ----------
    text : str
        Such as ``"3*(20*ER+180*HIO)+20*ER"``.

    Returns
    -------
    tuple of (str, int)
        Method and number of iterations, in order; neighbours of one method are merged.

    Raises
    ------
    PlanError
        If the text doesn't follow the grammar, names an unknown method, or asks for none or over a million iterations.
    """
    parser = _Parser(text)
    steps = parser.schedule()
    parser.expect_end()
    runs = tuple((name, sum(count for _, count in group)) for name, group in groupby(steps, key=lambda step: step[0]))
    for name, _ in runs:
        method(name, 0.9)
    if not 0 < sum(count for _, count in runs) <= MAX_ITERATIONS:
        raise PlanError(f"schedule {text!r} asks for no or more than {MAX_ITERATIONS} iterations")
    return runs


def iterations_in(text: str) -> int:
    """Return how many iterations a schedule asks for."""
    return sum(count for _, count in parse_schedule(text))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0

    def fail(self, expected: str) -> PlanError:
        rest = self.text[self.position :].strip()
        at = f"at {rest!r}" if rest else "at its end"
        return PlanError(f"schedule {self.text!r}: expected {expected} {at}; write it like '3*(20*ER+180*HIO)+20*ER'")

    def take(self, group: int, *symbols: str) -> str | None:
        """Consume and return the next token if it is of this kind (and one of the symbols)."""
        found = _TOKEN.match(self.text, self.position)
        if found is None or found.group(group) is None or (symbols and found.group(group) not in symbols):
            return None
        self.position = found.end()
        return found.group(group)

    def schedule(self) -> list[tuple[str, int]]:
        steps = self.term()
        while self.take(3, "+"):
            steps += self.term()
        return steps

    def term(self) -> list[tuple[str, int]]:
        number = self.take(1)
        if number is not None and not self.take(3, "*"):
            raise self.fail("'*' after the count")
        count = 1 if number is None else int(number)
        if count > MAX_ITERATIONS:
            raise PlanError(f"schedule {self.text!r}: {count} iterations are more than {MAX_ITERATIONS}")
        name = self.take(2)
        if name is not None:
            return [(name.upper(), count)]
        if not self.take(3, "("):
            raise self.fail("a method or '('")
        inner = self.schedule()
        if not self.take(3, ")"):
            raise self.fail("')'")
        if count * sum(repeat for _, repeat in inner) > MAX_ITERATIONS:
            raise PlanError(f"schedule {self.text!r} asks for more than {MAX_ITERATIONS} iterations")
        return inner * count

    def expect_end(self) -> None:
        if self.text[self.position :].strip():
            raise self.fail("'+' or the end")
