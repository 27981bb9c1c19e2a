import h5py
import numpy as np
import pytest
from live_doubles import frames, plan, write_run
from source_contract import collect

from friedel.core.errors import InputError
from friedel.spi.live.watch import watch_hits
from friedel.stream.check import Condition, check_stream
from friedel.stream.recording import pack_event, record_stream, recorded_events, unpack_event
from friedel.stream.sources.events import Begun, Ended, Lost, Malformed, Message
from friedel.stream.sources.source import find_source


def _events():
    rng = np.random.default_rng(3)
    return [
        Begun(series="one", lasting=True, expected=3, mask=rng.random((5, 4)) > 0.5, meta={"energy": 9000.0}),
        Message(number=7, frames=rng.integers(0, 9, (2, 5, 4)).astype(">u2"), timestamp=3.5, meta={"th": 1.25}),
        Malformed(reason="no shape", n_frames=2, number=9),
        Lost(reason="gone"),
        Ended(reason="over"),
    ]


def test_every_event_survives_bit_for_bit():
    for before in _events():
        after = unpack_event(*pack_event(before))
        assert type(after) is type(before)
        for name, value in vars(before).items():
            np.testing.assert_array_equal(getattr(after, name), value)


class _Canned:
    uri, patient = "canned://", True

    def __init__(self, events):
        self._events = list(events)

    def open(self):
        pass

    def receive(self, timeout_s):
        return self._events.pop(0) if self._events else None

    def close(self):
        pass


def test_a_recording_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    path = tmp_path / "stream.frs"
    record_stream(_Canned(_events()), path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    found = [event for _, event in recorded_events(path)]
    assert [type(event) for event in found[:4]] == [Begun, Message, Malformed, Lost]
    assert found[-1] == Ended(reason="the recording was cut off here")


def test_what_is_no_recording_is_refused(tmp_path):
    path = tmp_path / "stream.frs"
    path.write_bytes(b"something else altogether")
    with pytest.raises(InputError, match="not a stream that friedel recorded"):
        find_source(f"replay://{path}").open()


def test_a_recording_is_never_overwritten(tmp_path):
    path = tmp_path / "stream.frs"
    path.write_bytes(b"precious")
    with pytest.raises(InputError, match="can't be made"):
        record_stream(_Canned(_events()), path)
    assert path.read_bytes() == b"precious"


def _scores(folder):
    with h5py.File(folder / "out" / "hits_001.cxi") as file:
        order = np.argsort(file["entry_1/result_1/number"][()])
        return {name: file[f"entry_1/result_1/{name}"][()][order] for name in ("number", "single", "selected")}


def test_replay_equals_live(tmp_path):
    stack = frames(120)
    path = write_run(tmp_path / "run.h5", stack)
    (tmp_path / "live").mkdir()
    (tmp_path / "again").mkdir()
    stream = tmp_path / "stream.frs"
    record_stream(find_source(f"file://{path}?rate=2000"), stream)
    live = watch_hits(plan(tmp_path / "live", f"file://{path}?rate=2000"))
    again = watch_hits(plan(tmp_path / "again", f"replay://{stream}"))
    assert again.counts.processed == live.counts.processed == 120
    first, second = _scores(tmp_path / "live"), _scores(tmp_path / "again")
    for name, values in first.items():
        np.testing.assert_array_equal(second[name], values)


def test_a_replay_keeps_the_recording_s_own_times(tmp_path):
    path = write_run(tmp_path / "run.h5", frames(20))
    stream = tmp_path / "stream.frs"
    record_stream(find_source(f"file://{path}?rate=40"), stream)
    times = [after for after, event in recorded_events(stream) if isinstance(event, Message)]
    assert 0.4 < times[-1] - times[0] < 1.5
    source = find_source(f"replay://{stream}?rate=max")
    source.open()
    assert len(collect(source, 100)) == 22


def test_a_stream_is_ok_silent_or_wrong_and_says_why(tmp_path):
    path = write_run(tmp_path / "run.h5", frames(20))
    found = check_stream(f"file://{path}")
    assert found.condition is Condition.OK
    assert "64 × 64 uint16" in found.reason
    assert check_stream(f"file://{tmp_path}/none.h5").condition is Condition.ERROR
    assert "no such file" in check_stream(f"file://{tmp_path}/none.h5").reason
    unknown = check_stream("karabbo://host:1")
    assert unknown.condition is Condition.ERROR
    assert "did you mean karabo://?" in unknown.reason
