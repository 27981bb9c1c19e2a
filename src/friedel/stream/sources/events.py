"""What a source tells, one event at a time. Frozen records; no sockets here.

Frames are numbered by the source, one by one, so that what is missing can be counted. A message may bring several:
its first has the message's number, the next one more, and so on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Begun:
    """A series begins: numbers start anew, and frames may have another shape.

    Attributes
    ----------
    series : str
        A name that no other series of this source has.
    lasting : bool
        The same name and number mean the same frame if this program is started again.
    expected : int or None
        Frames the series will have, if known.
    mask : (y, x) bool or None
        True where the detector measures, if the source knows.
    meta : mapping
        Whatever else the source says of the series.
    """

    series: str
    lasting: bool = False
    expected: int | None = None
    mask: NDArray[np.bool_] | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, kw_only=True)
class Message:
    """Frames that came together.

    Attributes
    ----------
    number : int
        Number of the first frame in its series.
    frames : (n, y, x), any real dtype
        Photons or detector units.
    timestamp : float
        When the source says they were recorded, s since the epoch; NaN if it doesn't. Never used for latency.
    meta : mapping
        Whatever else the source says of them (motor positions, for instance), plain values.
    """

    number: int
    frames: NDArray[Any]
    timestamp: float = float("nan")
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Malformed:
    """Something came that can't be used.

    Attributes
    ----------
    reason : str
        Why, in a few words that don't differ from one such message to the next: they are counted by it.
    n_frames : int
        Frames it would have been.
    number : int or None
        Number of the first of them, if it could be read; it is then not also counted as missing.
    """

    reason: str
    n_frames: int = 1
    number: int | None = None


@dataclass(frozen=True, kw_only=True)
class Lost:
    """The connection is gone; the source is trying to get it back."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """Nothing more will come."""

    reason: str = ""


Event: TypeAlias = Begun | Message | Malformed | Lost | Ended
