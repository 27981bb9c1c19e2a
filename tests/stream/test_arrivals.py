import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from friedel.stream.arrivals import LARGEST_GAP, WINDOW, Arrivals


def _play(numbers, n=1):
    arrivals = Arrivals()
    return [arrivals.judge(number, n) for number in numbers]


def test_order_does_not_matter_within_the_window_and_gaps_are_counted():
    verdicts = _play([10, 11, 14, 12, 12, 13, 9])
    assert [v.fresh.item() for v in verdicts] == [True, True, True, True, False, True, True]
    assert [v.missing for v in verdicts] == [0, 0, 2, -1, 0, -1, 0]
    assert verdicts[4].duplicate == 1


def test_messages_may_overlap():
    arrivals = Arrivals()
    arrivals.judge(0, 4)
    verdict = arrivals.judge(2, 4)
    assert verdict.fresh.tolist() == [False, False, True, True]
    assert verdict.duplicate == 2


def test_what_is_too_far_behind_is_late():
    verdicts = _play([0, WINDOW, 2 * WINDOW, 5, 2 * WINDOW - WINDOW + 2])
    assert verdicts[3].late == 1
    assert verdicts[4].fresh.all()


def test_one_absurd_number_is_damage_and_two_are_a_jump():
    verdicts = _play([0, 1, 10**12, 2, 3])
    assert [v.absurd for v in verdicts] == [False, False, True, False, False]
    assert verdicts[3].fresh.all()
    assert verdicts[3].missing == 0
    verdicts = _play([0, 10**12, 10**12 + 1, 10**12 + 2])
    assert [v.absurd for v in verdicts] == [False, True, False, False]
    assert verdicts[2].anew
    assert verdicts[3].fresh.all()


def test_a_source_that_counts_anew_after_a_lost_connection_is_believed():
    arrivals = Arrivals()
    arrivals.judge(0, 500)
    arrivals.may_begin_anew()
    verdict = arrivals.judge(0, 1)
    assert verdict.anew
    assert verdict.fresh.all()
    arrivals.may_begin_anew()
    assert not arrivals.judge(7, 1).anew, "a gap after a lost connection is a gap"


def test_many_late_frames_in_order_are_a_new_beginning():
    arrivals = Arrivals()
    arrivals.judge(900_000, 1)
    verdicts = [arrivals.judge(k, 1) for k in range(40)]
    assert sum(v.late for v in verdicts) == 31
    assert sum(int(v.fresh.sum()) for v in verdicts) == 9


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 9)), max_size=60))
def test_the_counts_agree_with_a_set(messages):
    arrivals, seen, missing = Arrivals(), set(), 0
    for number, n in messages:
        verdict = arrivals.judge(number, n)
        numbers = np.arange(number, number + n)
        assert [k not in seen for k in numbers] == verdict.fresh.tolist()
        assert verdict.duplicate == n - verdict.fresh.sum()
        missing += verdict.missing
        seen.update(numbers.tolist())
    if seen:
        first = messages[0][0]
        assert missing == len([k for k in range(first, max(seen) + 1) if k not in seen])
    assert LARGEST_GAP > 400


def test_a_detector_that_counts_each_acquisition_from_0_without_a_word_is_believed():
    arrivals = Arrivals()
    for number in range(5, 200):
        arrivals.judge(number, 1)
    anew = [arrivals.judge(number, 1) for number in range(120)]
    assert sum(verdict.anew for verdict in anew) == 1
    used = sum(int(verdict.fresh.sum()) for verdict in anew)
    assert used + sum(verdict.duplicate for verdict in anew) == 120
    assert used >= 105


def test_frames_sent_twice_are_duplicates_however_many():
    arrivals = Arrivals()
    found = [arrivals.judge(number, 1) for number in range(300) for _ in range(2)]
    found += [arrivals.judge(number, 1) for number in range(250, 300)]
    found += [arrivals.judge(number, 1) for number in range(12)]
    assert not any(verdict.anew for verdict in found)
    assert sum(verdict.duplicate for verdict in found) == 362
