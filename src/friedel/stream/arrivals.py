"""Which frames are new, by their numbers alone: duplicates, late ones, gaps, and numbers that begin anew.

Memory doesn't grow: the numbers of the newest `WINDOW` frames are remembered one by one. A frame further behind can't
be told from a duplicate, and is late. One number far ahead is taken for damage; two that agree, for a true jump. A
number far behind is late; many that follow each other mean that the source began to count anew, and so do many known
ones that follow each other from the first on.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

WINDOW = 1 << 16
"""Frames behind the newest within which order doesn't matter."""
LARGEST_GAP = 1_000_000
"""Numbers further ahead than this are a jump, not a gap."""
# Messages far behind, each following the last, that mean a source counting anew: late messages come singly or in a few.
# Smaller, and a burst of late ones restarts the count; larger, and more frames of the new count are lost as late.
_RETURNS = 32
# Messages seen before, in order from the series' first one and with no new one between, that mean the same: detectors
# count each acquisition from 0 without a word. Smaller, and a few frames sent again would count twice; larger, and more
# frames of the new count are lost as duplicates.
_REPEATS = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """What the numbers of one message say.

    Attributes
    ----------
    fresh : (n,) bool
        Frames to be used.
    duplicate, late : int
        Frames that are one or the other.
    missing : int
        By how much the count of missing frames changes: negative when some come after all.
    absurd : bool
        The number is too far ahead to be believed; all are to be counted as malformed.
    anew : bool
        The source has begun to count anew, with this message as its first.
    """

    fresh: NDArray[np.bool_]
    duplicate: int = 0
    late: int = 0
    missing: int = 0
    absurd: bool = False
    anew: bool = False


class Arrivals:
    """The numbers of one series so far."""

    def __init__(self) -> None:
        self._seen = np.zeros(WINDOW, bool)
        self._first: int | None = None
        self._next = self._before = 0
        self._ahead: int | None = None
        self._behind: list[int] = []
        self._again: list[int] = []
        self._returned = False

    def may_begin_anew(self) -> None:
        """Tell that the connection was lost: numbers already seen then mean a source that counts anew."""
        self._returned = True

    def judge(self, number: int, n_frames: int) -> Verdict:
        """Say which of the frames ``number`` … ``number + n_frames - 1`` are new, and remember them."""
        if self._first is None:
            self._first = self._next = number
        returned, self._returned = self._returned, False
        if number == self._next:
            return self._following(n_frames)
        if number - self._next > LARGEST_GAP:
            return self._far_ahead(number, n_frames)
        self._ahead = None
        numbers = np.arange(number, number + n_frames)
        # The newest frame, sent again to greet a client that comes back, is a duplicate.
        returned = returned and numbers[-1] < self._next - 1 and self._known(numbers)
        if numbers[-1] < self._next and (self._counts_anew(number, n_frames) or returned):
            return self._begin_anew(number, n_frames)
        if self._repeats(numbers):
            return self._begin_anew(number, n_frames)
        return self._near(numbers)

    def _following(self, n_frames: int) -> Verdict:
        """Take the very next frames, as nearly all are: none of them can have been seen."""
        self._ahead, self._again, self._before = None, [], self._next
        self._next += n_frames
        place = self._before % WINDOW
        self._seen[place : place + n_frames] = True
        self._seen[: max(place + n_frames - WINDOW, 0)] = True
        return Verdict(fresh=np.ones(n_frames, bool))

    def _near(self, numbers: NDArray[np.int64]) -> Verdict:
        gap = max(int(numbers[0]) - self._next, 0)
        self._advance(int(numbers[-1]) + 1)
        late = numbers < self._next - WINDOW
        duplicate = ~late & self._seen[numbers % WINDOW]
        fresh = ~(late | duplicate)
        self._seen[numbers[fresh] % WINDOW] = True
        first = self._first or 0
        after_all = int((fresh & (numbers < self._before) & (numbers >= first)).sum())
        return Verdict(fresh=fresh, duplicate=int(duplicate.sum()), late=int(late.sum()), missing=gap - after_all)

    def _advance(self, following: int) -> None:
        """Forget what falls out of the window when ``following`` is the next number to expect."""
        self._before = self._next
        if following > self._next:
            passed = np.arange(max(self._next, following - WINDOW), following)
            self._seen[passed % WINDOW] = False
            self._next = following

    def _known(self, numbers: NDArray[np.int64]) -> bool:
        return bool((numbers < self._next - WINDOW).any() or self._seen[numbers % WINDOW].any())

    def _far_ahead(self, number: int, n_frames: int) -> Verdict:
        agreed = self._ahead is not None and 0 <= number - self._ahead <= LARGEST_GAP
        if agreed:
            return self._begin_anew(number, n_frames)
        self._ahead = number + n_frames
        return Verdict(fresh=np.zeros(n_frames, bool), absurd=True)

    def _counts_anew(self, number: int, n_frames: int) -> bool:
        """Say whether frames far behind have come in order for long enough."""
        if number + n_frames > self._next - WINDOW:
            self._behind = []
            return False
        in_order = bool(self._behind) and number == self._behind[-1]
        self._behind = [*(self._behind if in_order else []), number + n_frames]
        return len(self._behind) >= _RETURNS

    def _repeats(self, numbers: NDArray[np.int64]) -> bool:
        """Say whether known frames have come in order, from the series' first one, for long enough."""
        number, begins = int(numbers[0]), int(numbers[0]) == self._first
        follows = begins or (bool(self._again) and number == self._again[-1])
        if not follows or numbers[-1] >= self._next or not self._known(numbers):
            self._again = []
            return False
        self._again = [*([] if begins else self._again), number + len(numbers)]
        return len(self._again) >= _REPEATS

    def _begin_anew(self, number: int, n_frames: int) -> Verdict:
        self._seen[:] = False
        self._first, self._ahead, self._behind, self._again = None, None, [], []
        return replace(self.judge(number, n_frames), anew=True)


def among(numbers: NDArray[np.int64], known: NDArray[np.int64] | None) -> NDArray[np.bool_]:
    """Return which numbers, ``(n,)``, are among the known ones, which are sorted; None knows none."""
    if known is None or not len(known):
        return np.zeros(len(numbers), bool)
    places = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
    return np.asarray(known[places] == numbers)
