"""What a page may ask of a running watch: a threshold, a pause. The data path obeys; the page never touches it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class Control:
    """The state asked for; the latest one holds.

    Attributes
    ----------
    threshold : float or None
        Least probability of a selected frame; None leaves the selection to the plan.
    paused : bool
        Frames that arrive while this is True get no score and are counted as dropped, because of the pause.
    """

    threshold: float | None = None
    paused: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the state that `as_dict` gave; a threshold outside 0 … 1 becomes the nearest inside.

        Raises
        ------
        ValueError, TypeError
            If the threshold is no number.
        """
        threshold = values.get("threshold")
        kept = None if threshold is None else min(max(float(threshold), 0.0), 1.0)
        if kept is not None and kept != kept:  # NaN
            raise ValueError("the threshold must be a number from 0 to 1, got NaN")
        return cls(threshold=kept, paused=bool(values.get("paused", False)))
