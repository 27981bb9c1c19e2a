"""When the next message is due: at a given rate, at the times of a recording, or at once."""

import time


class Pace:
    """Tells how long to wait before a message; time lost is caught up with.

    Parameters
    ----------
    frames_per_s : float or None
        A fixed rate; None: as `due_after` says.
    """

    def __init__(self, frames_per_s: float | None) -> None:
        self._rate = frames_per_s
        self._began: float | None = None
        self._due = 0.0

    def due_in(self) -> float:
        """Return how long until the next message is due, s; 0 if it is now."""
        if self._began is None:
            self._began = time.monotonic()
        return max(self._began + self._due - time.monotonic(), 0.0)

    def passed(self, n_frames: int) -> None:
        """Count a message: the next is due after as long as its frames take."""
        if self._rate is not None:
            self._due += n_frames / self._rate

    def due_after(self, seconds: float) -> None:
        """Say that the next message is due so long after the first."""
        self._due = seconds
