"""Show an observer's events on the terminal: a progress bar and notes, or plain lines where there is no terminal.

Everything goes to stderr, so that stdout holds nothing but what was asked for (``--json``).
"""

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from friedel.core.observer import Event, Note, Observer, Warned, silent
from friedel.core.observer import Progress as Done


@contextmanager
def reporting(*, quiet: bool = False, json_lines: bool = False) -> Iterator[Observer]:
    """Give an observer that shows events on stderr for as long as the block runs.

    Parameters
    ----------
    quiet : bool
        Show nothing at all.
    json_lines : bool
        A JSON object a line, for a log that a machine reads.
    """
    console = Console(stderr=True, highlight=False)
    if quiet:
        yield silent
    elif json_lines:
        yield JsonLines()
    elif not console.is_terminal:
        yield PlainLines(console)
    else:
        columns = (TextColumn("{task.description:<22}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        with Progress(
            *columns, TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[figures]}"), console=console
        ) as bars:
            yield Bars(bars)


class Bars:
    """An observer that keeps one progress bar per task and prints notes above them."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: Event) -> None:
        """Show one event."""
        if not isinstance(event, Done):
            self._bars.console.print(_sentence(event))
            return
        if event.task not in self._tasks:
            self._tasks[event.task] = self._bars.add_task(event.task, figures="")
        task, figures = self._tasks[event.task], _figures(event.figures)
        self._bars.update(task, completed=event.done, total=event.total, figures=figures)


def steady(observer: Observer) -> Observer:
    """Return an observer that ignores a closed terminal, or a closed pipe, instead of failing."""

    def tell(event: Event) -> None:
        with suppress(OSError):
            observer(event)

    return tell


class JsonLines:
    """An observer for logs that machines read: one object a line, with time, level, step and text or figures."""

    def __call__(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Done):
            self.write("info", event.task, done=event.done, total=event.total, figures=dict(event.figures))
        else:
            self.write("warning" if isinstance(event, Warned) else "info", event.step, text=event.text)

    def write(self, level: str, step: str, **values: Any) -> None:
        """Write a line of these values."""
        when = datetime.now(UTC).isoformat(timespec="milliseconds")
        sys.stderr.write(json.dumps({"time": when, "level": level, "step": step} | values, default=str) + "\n")
        sys.stderr.flush()


class PlainLines:
    """An observer for logs: notes as they come, and each task at every quarter."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._quarters: dict[str, int] = {}

    def __call__(self, event: Event) -> None:
        """Print one event, unless it is progress within the same quarter."""
        if not isinstance(event, Done):
            self._console.print(_sentence(event), soft_wrap=True)
            return
        quarter = 4 * event.done // max(event.total, 1)
        last = self._quarters.get(event.task, 0)
        self._quarters[event.task] = quarter  # a task that starts again counts its quarters again
        if quarter not in (0, last):
            text = f"{event.task}: {event.done}/{event.total} {_figures(event.figures)}"
            self._console.print(escape(text.rstrip()), soft_wrap=True)


def _sentence(event: Note | Warned) -> str:
    if isinstance(event, Warned):
        return f"[yellow]warning: {escape(event.step)}: {escape(event.text)}[/yellow]"
    return f"[bold]{escape(event.step)}[/bold]: {escape(event.text)}"


def _figures(figures: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
