"""How long-running work reports its progress and decisions: typed events handed to an observer.

A solver never prints and never draws. It calls ``observer(event)``; a progress bar, a log, a report and a web page
are observers. An observer must not change the work; to stop it, it raises (Ctrl-C arrives as KeyboardInterrupt).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True)
class Progress:
    """Part of a task is done.

    Attributes
    ----------
    task : str
        What is being done, in the user's words ("phasing", "reading frames").
    done, total : int
        Steps finished, and steps in all.
    figures : mapping of str to float
        What may be shown beside the bar (``{"chi": 0.08}``).
    """

    task: str
    done: int
    total: int
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """A step says what it did or decided, and why. Notes end up in the report.

    Attributes
    ----------
    step : str
        The step's name ("dead pixels", "support").
    text : str
        One sentence for the user.
    figures : mapping of str to float
        The numbers behind the sentence.
    """

    step: str
    text: str
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Warned:
    """Something is not as it should be; the work goes on after a stated repair.

    Attributes
    ----------
    step : str
        The step's name.
    text : str
        What is odd and what was done about it, in one sentence.
    bends : bool
        Whether the result may be wrong in spite of the repair; the verdict is then "not trusted".
    """

    step: str
    text: str
    bends: bool = False


Event: TypeAlias = Progress | Note | Warned
Observer: TypeAlias = Callable[[Event], None]


def silent(event: Event) -> None:
    """Ignore every event: the default observer."""


def tee(*observers: Observer) -> Observer:
    """Return an observer that passes each event to all the given ones."""

    def pass_on(event: Event) -> None:
        for observer in observers:
            observer(event)

    return pass_on


WARNING = "warning: "


@dataclass
class Recorder:
    """An observer that keeps notes and warnings, for the report and the result's provenance."""

    events: list[Note | Warned] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Keep the event unless it is progress."""
        if not isinstance(event, Progress):
            self.events.append(event)

    @property
    def notes(self) -> tuple[tuple[str, str], ...]:
        """What was kept, as (step, sentence); a warning's sentence begins with `WARNING`."""
        return tuple((e.step, WARNING + e.text if isinstance(e, Warned) else e.text) for e in self.events)


def listed(numbers: Iterable[int]) -> str:
    """Return frame numbers in words, runs shortened and the list cut off: "3, 7–9"."""
    runs: list[list[int]] = []
    for number in map(int, numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    said = [f"{run[0]}–{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs]
    return ", ".join(said[:8]) + (" …" if len(said) > 8 else "")
