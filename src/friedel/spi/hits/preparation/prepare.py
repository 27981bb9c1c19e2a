"""Frames of any detector, made alike: the square around the beam, in a stated number of pixels, in photons.

What holds for a whole run (centre, pedestal, gain, noise, marks, pixels that are blind) is measured once, by
`run_calibration`.
"""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from friedel.core.detector_units import COUNTABLE
from friedel.core.errors import InputError
from friedel.spi.hits.preparation.frame_levels import frame_levels
from friedel.spi.hits.preparation.photon_unit import MARKS

if TYPE_CHECKING:
    from friedel.spi.hits.probability.blanks import Background

EDGE = 128
"""Pixels along the edge of the square that models see."""
SMALLEST = 64
"""Frames smaller than this have too few pixels for fringes."""

_ROW_ENDS = (slice(0, 24), slice(EDGE - 24, EDGE))
# Photons. A greater offset would be light.
_LARGEST_OFFSET = 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class RunConstants:
    """What one run's frames have in common, after binning.

    Attributes
    ----------
    binning : int
        Pixels of the detector along the edge of one pixel here.
    centre : (int, int)
        Pixel (y, x), after binning, that the direct beam hits.
    gain : float
        Detector units a photon.
    read_variance : float
        Variance of a pixel's noise without light, photons².
    faulty : (128, 128) bool tensor or None
        Pixels of the square to leave out, beyond the mask.
    pedestal : float
        Detector units of a pixel without light.
    marks : tuple of float
        Values that stand for "no count", beside those that always do.
    counted : bool
        The frames hold counted photons, in multiples of the gain, above the pedestal.
    measured : bool
        The frames had light enough to tell the gain.
    clipped : float
        Value at which bright pixels are clipped; 0: they aren't.
    drifts : bool
        Every frame has a pedestal of its own, which is taken off it.
    background : Background or None
        What the run's blanks look like, where it has enough of them.
    bias : float
        Log odds that are taken off every frame's: of a run whose hits are clear, middling frames aren't hits.
    """

    binning: int
    centre: tuple[int, int]
    gain: float = 1.0
    read_variance: float = 0.0
    faulty: Tensor | None = None
    pedestal: float = 0.0
    marks: tuple[float, ...] = ()
    counted: bool = True
    measured: bool = True
    clipped: float = 0.0
    drifts: bool = False
    background: "Background | None" = None
    bias: float = 0.0

    def to_bytes(self) -> bytes:
        """Return the constants as the bytes of an ``.npz`` archive."""
        file = io.BytesIO()
        numbers = {name: np.asarray(getattr(self, name)) for name in _NUMBERS}
        faulty = np.zeros((0, 0), bool) if self.faulty is None else self.faulty.numpy()
        of_blanks = {} if self.background is None else self.background.arrays()
        arrays = {"faulty": faulty, "marks": np.array(self.marks), "centre": np.array(self.centre)}
        np.savez(file, allow_pickle=False, **arrays, **numbers, **of_blanks)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` made."""
        from friedel.spi.hits.probability.blanks import Background

        with np.load(io.BytesIO(data), allow_pickle=False) as kept:
            faulty = kept["faulty"]
            return cls(
                background=Background.from_arrays(kept),
                centre=(int(kept["centre"][0]), int(kept["centre"][1])),
                faulty=torch.from_numpy(faulty) if faulty.size else None,
                marks=tuple(float(mark) for mark in kept["marks"]),
                **{name: kind(kept[name]) for name, kind in _NUMBERS.items() if name in kept},
            )


_NUMBERS = {
    "binning": int,
    "gain": float,
    "read_variance": float,
    "pedestal": float,
    "counted": bool,
    "measured": bool,
    "clipped": float,
    "drifts": bool,
    "bias": float,
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Prepared:
    """Frames in photons around the beam's centre.

    Attributes
    ----------
    photons : (n, 1, 128, 128) float32
        0 where unknown.
    known : (1 or n, 1, 128, 128) float32
        Share of each pixel that was measured, 0 … 1.
    read_variance : float
        Photons².
    """

    photons: Tensor
    known: Tensor
    read_variance: float


def checked_mask(frames: NDArray[np.generic], mask: NDArray[np.bool_] | None) -> NDArray[np.bool_]:
    """Return the mask, or one that measures everywhere.

    Raises
    ------
    InputError
        If the frames aren't ``(n, y, x)`` of at least 64², or the mask has another shape or measures nothing.
    """
    if frames.ndim != 3:
        raise InputError(f"frames must have axes (n, y, x), got shape {frames.shape}; one frame is frames[None]")
    if frames.dtype.kind not in "uif":
        raise InputError(f"frames must be numbers, got dtype {frames.dtype}")
    if min(frames.shape[1:]) < SMALLEST:
        raise InputError(f"frames must have at least {SMALLEST} × {SMALLEST} pixels, got {frames.shape[1:]}")
    if mask is None:
        return np.ones(frames.shape[1:], dtype=bool)
    if mask.shape != frames.shape[1:]:
        raise InputError(f"mask {mask.shape} doesn't fit frames of {frames.shape[1:]}")
    if not np.any(mask):
        raise InputError("the mask leaves no pixel to look at; True must mean measured")
    return np.asarray(mask, dtype=bool)


def natural_binning(shape: tuple[int, ...]) -> int:
    """Return the binning that leaves a frame at least 256 pixels an edge where it has them."""
    return max(1, min(shape) // (2 * EDGE))


def prepare(frames: NDArray[np.generic], mask: NDArray[np.bool_], constants: RunConstants) -> Prepared:
    """Crop, bin and scale frames.

    Parameters
    ----------
    frames : (n, y, x), any real dtype
        Photons or detector units; NaN and infinities are unknown.
    mask : (y, x) bool
        True where the detector measures.
    constants : RunConstants
        The run's.

    Returns
    -------
    Prepared
    """
    windows = [_window(n, c, constants.binning) for n, c in zip(mask.shape, constants.centre, strict=True)]
    rows, columns = windows
    part, known = loaded(frames[:, rows[0], columns[0]], mask[rows[0], columns[0]], constants)
    padding = (*columns[1], *rows[1])
    if constants.drifts:
        part = part - frame_levels(part, known)[0][:, None, None, None] * known
    if any(padding):
        part, known = functional.pad(part, padding), functional.pad(known, padding)
    if constants.faulty is not None:
        known = known * ~constants.faulty
    # One product for the scale and for what is unknown: known is the run's own, mostly, and small.
    photons = part * ((constants.binning**2 / constants.gain) * (known > 0))
    if constants.read_variance > 0:
        photons = _without_common_mode(photons, known)
    return Prepared(photons=photons, known=known, read_variance=constants.read_variance)


def loaded(frames: NDArray[np.generic], mask: NDArray[np.bool_], constants: RunConstants) -> tuple[Tensor, Tensor]:
    """Return frames as binned floats above the pedestal, and the share of each pixel that is known.

    Parameters
    ----------
    frames : (n, y, x), any real dtype
        Detector units; NaN, infinities and marks are unknown.
    mask : (y, x) bool
        True where the detector measures.
    constants : RunConstants
        Of which binning, pedestal and marks are used.

    Returns
    -------
    part : (n, 1, y // binning, x // binning) float32
        Mean over each pixel's parts, 0 where they are unknown.
    known : (1 or n, 1, y // binning, x // binning) float32
        0 … 1.
    """
    part = torch.from_numpy(_native(frames)).float()[:, None]
    known = torch.from_numpy(mask.astype(np.float32))[None, None]
    if not mask.all():  # first of all: what stands in masked pixels decides nothing
        part = torch.where(known > 0, part, 0.0)
    unknown = _unknown(part, constants.marks, floats=frames.dtype.kind == "f")
    if unknown is not None:
        part, known = part.masked_fill(unknown, 0.0), known * ~unknown
    if constants.pedestal:
        part = (part - constants.pedestal) * known
    return _binned(part, constants.binning), _binned(known, constants.binning)


def _unknown(part: Tensor, marks: tuple[float, ...], *, floats: bool) -> Tensor | None:
    """Return where a value is no measurement, or None if all values are measurements."""
    if not part.numel():
        return None
    unknown: Tensor | None = None
    if floats and not torch.isfinite(part.sum()):
        unknown = torch.isfinite(part).logical_not()
    top = float(part.amax())
    looked_for = (*(MARKS if unknown is not None or top >= min(MARKS) else ()), *marks)
    if not top <= COUNTABLE:  # or NaN
        beyond = part > COUNTABLE
        unknown = beyond if unknown is None else unknown | beyond
    for mark in looked_for:
        found: Tensor = torch.eq(part, float(np.float32(mark)))
        unknown = found if unknown is None else unknown | found
    return unknown


def _without_common_mode(photons: Tensor, known: Tensor) -> Tensor:
    """Take out the offset that the halves of each row share: the median of their outer, darker ends."""
    offsets = torch.cat([_lower_median(photons[..., ends]) for ends in _ROW_ENDS], dim=-1)
    halves = (
        photons.reshape(*photons.shape[:-1], 2, EDGE // 2)
        - offsets.clamp_(-_LARGEST_OFFSET, _LARGEST_OFFSET)[..., None]
    )
    return halves.flatten(-2).mul_(known > 0)


def _lower_median(values: Tensor) -> Tensor:
    """Return the median along the last axis, of an even number the lower one; torch's takes nine times as long."""
    at = (values.shape[-1] - 1) // 2
    return torch.from_numpy(np.partition(values.numpy(), at, axis=-1)[..., at : at + 1])


def _native(frames: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return the frames in a type that torch knows; integers of 16 bits take the shortest way to float."""
    if frames.dtype in (np.uint32, np.uint64) or frames.dtype.itemsize > 8:
        return frames.astype(np.float32)
    if not frames.dtype.isnative:
        frames = frames.astype(frames.dtype.newbyteorder("="))
    frames = np.ascontiguousarray(frames)
    return frames if frames.flags.writeable else frames.copy()  # torch warns of memory maps opened for reading


def _window(n: int, centre: int, binning: int) -> tuple[slice, tuple[int, int]]:
    """Return the detector pixels of the square along one axis, and the padding that they lack on either side."""
    first, size = centre - EDGE // 2, n // binning
    low, high = max(first, 0), min(first + EDGE, size)
    return slice(low * binning, high * binning), (low - first, first + EDGE - high)


def _binned(values: Tensor, binning: int) -> Tensor:
    return functional.avg_pool2d(values, binning) if binning > 1 else values
