"""What the display gets a few times a second: one frozen record, small, ready for JSON. Draws nothing.

Arrays cross as base64 of their bytes with type and shape, so a round trip changes no bit. Times are seconds since the
epoch where they say when, and seconds where they say how long.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from friedel.live.ledger import LedgerCounts


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
class Thumbnail:
    """A frame made small.

    Attributes
    ----------
    image : (y, x) uint8
        Square root of the intensities, from the least to the 99.8th percentile; at most 128 pixels an edge.
    number : int
        The frame's number in its series.
    series : str
        Which series of the source.
    single, fringes, strange : float
        Its scores.
    """

    image: NDArray[np.uint8]
    number: int
    series: str
    single: float
    fringes: float
    strange: float


@dataclass(frozen=True, eq=False, kw_only=True)
class HitsView:
    """What a page shows of single hits.

    Attributes
    ----------
    rate_times, rates : (n,) float64
        Ends of equal stretches of time, s since the epoch, and the share of frames selected in each.
    histogram : (20,) int64
        Scored frames by probability, from 0 to 1 in equal steps.
    singles, unsure, rejected : tuple of Thumbnail
        The latest few, newest first.
    powder : (y, x) float32 or None
        Mean of all selected frames, at most 256 pixels an edge, in the frames' own unit.
    n_powder : int
        Frames in it.
    selected, unsure_count, odd_count : int
        Frames selected, unsure and unlike anything seen in training, so far.
    model : str
        Name and hash of the weights.
    """

    rate_times: NDArray[np.float64]
    rates: NDArray[np.float64]
    histogram: NDArray[np.int64]
    singles: tuple[Thumbnail, ...] = ()
    unsure: tuple[Thumbnail, ...] = ()
    rejected: tuple[Thumbnail, ...] = ()
    powder: NDArray[np.float32] | None = None
    n_powder: int = 0
    selected: int = 0
    unsure_count: int = 0
    odd_count: int = 0
    model: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalView:
    """What a page shows of a crystal whose scan is being collected.

    Attributes
    ----------
    collected, expected : int
        Frames there, and frames the scan will have; expected is 0 while unknown.
    quality_frames, quality : (n,) float64
        Frames collected when each image was made, and its agreement with the image before (correlation, 0 … 1).
    slices : mapping of str to (y, x) float32
        Amplitude through the middle, by plane ("xy", "xz", "yz").
    strain_slices : mapping of str to (y, x) float32
        What ``coloured_by`` names on the same planes, NaN outside the crystal.
    vertices : (n, 3) float32 or None
        The surface's corners, in ``unit``.
    faces : (m, 3) int32 or None
        Its triangles.
    vertex_strain : (n,) float32 or None
        What ``coloured_by`` names at each corner.
    coloured_by : str
        "strain (10⁻³)", or "phase (rad)" where the geometry isn't known.
    unit : str
        Of lengths: "nm", or "voxels" where the geometry isn't known.
    axes : tuple of str
        Names of the surface's directions x, y and z.
    label : str
        "N of M frames, provisional", or what it is otherwise.
    notes : tuple of str
        What is still uncertain, one sentence each.
    figures : mapping of str to float
        Quality figures of the latest image.
    settled : bool
        More frames stopped changing the answer.
    report : str
        Path, inside the run's folder, of the finished scan's report; empty while there is none.
    """

    collected: int = 0
    expected: int = 0
    quality_frames: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    quality: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    slices: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    strain_slices: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    vertices: NDArray[np.float32] | None = None
    faces: NDArray[np.int32] | None = None
    vertex_strain: NDArray[np.float32] | None = None
    coloured_by: str = "strain (10⁻³)"
    unit: str = "nm"
    axes: tuple[str, ...] = ("x", "y", "z")
    label: str = ""
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    settled: bool = False
    report: str = ""


@dataclass(frozen=True, eq=False, kw_only=True)
class Snapshot:
    """Everything a display needs of one moment.

    Attributes
    ----------
    mode : {"hits", "crystal"}
        Which of ``hits`` and ``crystal`` is filled.
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
    hits, crystal : HitsView, CrystalView or None
        The mode's own part.
    """

    mode: Literal["hits", "crystal"]
    taken: float
    source: SourceState
    ledger: LedgerCounts
    frames_per_s: float = 0.0
    threshold: float | None = None
    paused: bool = False
    folder: str = ""
    hits: HitsView | None = None
    crystal: CrystalView | None = None


def to_json(snapshot: Snapshot) -> str:
    """Return the snapshot as strict JSON; arrays as ``{"dtype", "shape", "base64"}``, other non-finite numbers null."""
    return json.dumps(_plain(snapshot), allow_nan=False)


def from_json(text: str) -> Snapshot:
    """Return the snapshot that `to_json` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text is no snapshot.
    """
    values = json.loads(text, object_hook=_array_or_dict)
    hits, crystal = values.pop("hits"), values.pop("crystal")
    return Snapshot(
        **values
        | {
            "source": SourceState(**values["source"]),
            "ledger": LedgerCounts(**values["ledger"]),
            "hits": None if hits is None else _hits(hits),
            "crystal": None
            if crystal is None
            else CrystalView(**crystal | {name: tuple(crystal[name]) for name in ("notes", "axes")}),
        }
    )


def _hits(values: dict[str, Any]) -> HitsView:
    galleries = {name: tuple(Thumbnail(**one) for one in values[name]) for name in ("singles", "unsure", "rejected")}
    return HitsView(**values | galleries)


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
