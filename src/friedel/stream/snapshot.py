"""What the display gets a few times a second: one frozen record that can be written as JSON. Draws nothing.

Arrays cross as base64 of their bytes with type and shape, so a round trip changes no bit. Times are seconds since the
epoch where they say when, and seconds where they say how long.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal

import numpy as np

from friedel.stream.ledger import LedgerCounts


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """How the source is doing.

    Attributes
    ----------
    name : str
        Its URI.
    state : {"opening", "live", "silent", "lost", "ended"}
        "silent": connected, nothing comes; "lost": the connection is gone and is being tried again.
    since : float
        When that state began, s since the epoch.
    reason : str
        Why, where there is something to say.
    """

    name: str
    state: Literal["opening", "live", "silent", "lost", "ended"] = "opening"
    since: float = 0.0
    reason: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """Everything a display needs of one moment.

    Attributes
    ----------
    mode : str
        What is watched, and so what ``view`` is: "hits" or "crystal".
    taken : float
        When, s since the epoch.
    source : SourceState
        The source.
    ledger : LedgerCounts
        The counts, which add up.
    frames_per_s : float
        Frames scored a second, over the last few seconds.
    threshold : float or None
        Least probability of a selected frame in force; None: the plan's selection.
    paused : bool
        Whether frames are being left out on request.
    folder : str
        Where results are written; empty if nowhere.
    view : dataclass, or mapping, or None
        The mode's own part: a frozen record; plain values and arrays once it has crossed to another process.
    """

    mode: str
    taken: float
    source: SourceState
    ledger: LedgerCounts
    frames_per_s: float = 0.0
    threshold: float | None = None
    paused: bool = False
    folder: str = ""
    view: Any = None


def to_json(snapshot: Snapshot) -> str:
    """Return the snapshot as strict JSON; arrays as ``{"dtype", "shape", "base64"}``, other non-finite numbers null."""
    return json.dumps(_plain(snapshot), allow_nan=False)


def from_json(text: str) -> Snapshot:
    """Return the snapshot that `to_json` wrote; its ``view`` as plain values and arrays.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text is no snapshot.
    """
    values = json.loads(text, object_hook=_array_or_dict)
    return Snapshot(**values | {"source": SourceState(**values["source"]), "ledger": LedgerCounts(**values["ledger"])})


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        packed = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"dtype": value.dtype.str, "shape": list(value.shape), "base64": packed}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _array_or_dict(values: dict[str, Any]) -> Any:
    if values.keys() != {"dtype", "shape", "base64"}:
        return values
    data = base64.b64decode(values["base64"])
    return np.frombuffer(data, np.dtype(values["dtype"])).reshape(values["shape"])
