"""What was read: a sentence for each fact a result depends on, and the warnings after which it isn't trusted.

Made from the notes and warnings that readers and preparation tell their observer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from friedel.core.observer import Note, Warned

FACTS = (
    "file", "frames", "lost frames", "mask", "dark", "unit", "marks", "saturation", "angles", "beam", "energy",
    "distance", "pixels", "direct beam",
)  # fmt: skip
"""The steps whose sentences are facts about what was read, in the order in which they are shown."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a measurement comes from and how far it can be believed.

    Attributes
    ----------
    facts : tuple of (str, str)
        Name (one of `FACTS`) and sentence: file and dataset, frames, mask, unit, marks, angles, energy, distance.
    warnings : tuple of str
        What can falsify a result, a sentence each; a reconstruction with one of them isn't trusted.
    """

    facts: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()

    def with_events(self, events: Iterable[Note | Warned]) -> Self:
        """Return the record with what the events say about what was read; of one step every sentence is kept."""
        told = list(self.facts)
        warnings = list(self.warnings)
        for event in events:
            if event.step in FACTS and (event.step, event.text) not in told:
                told.append((event.step, event.text))
            if isinstance(event, Warned) and event.bends and event.text not in warnings:
                warnings.append(event.text)
        ordered = sorted(told, key=lambda fact: FACTS.index(fact[0]))
        return type(self)(facts=tuple(ordered), warnings=tuple(warnings))

    def __str__(self) -> str:
        lines = [f"  {name}: {text}" for name, text in self.facts]
        return "\n".join([*lines, *(f"  can bend the result: {text}" for text in self.warnings)])


NOTHING_SAID = Origin()


def shortened(warnings: tuple[str, ...]) -> str:
    """Return the first warning, and how many more there are, as the end of a line; nothing where there is none."""
    if not warnings:
        return ""
    return f"; can bend the result: {warnings[0]}" + (f" (and {len(warnings) - 1} more)" if len(warnings) > 1 else "")
