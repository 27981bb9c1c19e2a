"""What an observer shows: bars on a terminal, plain lines elsewhere, nothing on stdout."""

import io

import pytest
from rich.console import Console

from friedel.cli.progress import Bars, PlainLines, reporting
from friedel.core.observer import Note, Progress, Warned


@pytest.fixture
def page():
    return io.StringIO()


def test_plain_lines_show_notes_whole_and_progress_by_quarters(page):
    observer = PlainLines(Console(file=page, width=40))
    for done in range(1, 101):
        observer(Progress("phasing", done, 100, {"chi": 0.05}))
    observer(Note("crop", "kept 64 × 64 × 64 voxels [z y x] around the peak, which is at frame 100"))
    observer(Warned("frames", "one missing"))
    lines = page.getvalue().splitlines()
    assert lines[:4] == [f"phasing: {n}/100 chi 0.05" for n in (25, 50, 75, 100)]
    assert lines[4] == "crop: kept 64 × 64 × 64 voxels [z y x] around the peak, which is at frame 100"
    assert lines[5] == "warning: frames: one missing"


def test_a_task_that_starts_again_is_shown_again(page):
    observer = PlainLines(Console(file=page))
    for done in (1, 2, 1, 2):
        observer(Progress("reading", done, 2))
    assert page.getvalue().splitlines() == ["reading: 1/2", "reading: 2/2", "reading: 1/2", "reading: 2/2"]


def test_a_task_without_steps_is_no_trouble(page):
    PlainLines(Console(file=page))(Progress("reading", 0, 0))
    assert page.getvalue() == ""


def test_bars_keep_one_line_a_task_and_print_notes_above(page):
    from rich.progress import Progress as RichProgress

    console = Console(file=page, force_terminal=True, width=100)
    with RichProgress(console=console, auto_refresh=False) as bars:
        observer = Bars(bars)
        for done in (1, 2):
            observer(Progress("reading", done, 4))
        observer(Progress("phasing", 3, 3, {"chi": 0.1}))
        observer(Note("support", "chosen"))
        assert [(task.description, task.completed, task.total) for task in bars.tasks] == [
            ("reading", 2, 4),
            ("phasing", 3, 3),
        ]
        assert bars.tasks[1].fields["figures"] == "chi 0.1"
    assert "chosen" in page.getvalue()


def test_everything_goes_to_stderr(capsys):
    with reporting() as observer:
        observer(Note("step", "sentence"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err.strip()) == ("", "step: sentence")


def test_quiet_shows_nothing(capsys):
    with reporting(quiet=True) as observer:
        observer(Note("step", "sentence"))
    assert capsys.readouterr() == ("", "")
