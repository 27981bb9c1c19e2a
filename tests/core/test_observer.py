"""Events reach every observer; the recorder keeps what belongs in a report."""

from friedel.core.observer import Note, Progress, Recorder, Warned, silent, tee


def test_tee_passes_every_event_to_all_in_order():
    seen: list[tuple[str, object]] = []
    both = tee(lambda event: seen.append(("a", event)), lambda event: seen.append(("b", event)))
    both(Note("crop", "kept 64³"))
    assert [name for name, _ in seen] == ["a", "b"]


def test_the_recorder_keeps_notes_and_warnings_but_not_progress():
    recorder = Recorder()
    for event in (Note("crop", "kept"), Progress("phasing", 1, 2), Warned("frames", "one missing")):
        recorder(event)
        silent(event)
    assert [type(event) for event in recorder.events] == [Note, Warned]
