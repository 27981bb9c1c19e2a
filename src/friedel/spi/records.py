"""What flows through the classification of single-particle frames: the frames, and the scores they get."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError


class FrameStatus(IntEnum):
    """Why a frame has no score of its own."""

    SCORED = 0
    MASKED = 1
    """No pixel of it was measured."""
    CONSTANT = 2
    """All its measured pixels are equal: an empty or a saturated readout."""
    UNREADABLE = 3
    """Its bytes could not be read or decompressed."""


_SHOWN = 8
"""Frames that a notebook shows: a row."""
_BINS, _WIDE, _HIGH = 25, 250, 60
"""Bars of a notebook's histogram, and its size, pixels."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Frames:
    """Detector frames of one run, or a stretch of it.

    Attributes
    ----------
    intensities : (n, y, x) float or integer
        Photons, or detector units (ADU); NaN where unknown.
    mask : (y, x) bool
        True where the detector measures.
    first : int
        Number, within the run, of the first frame.
    """

    intensities: NDArray[np.generic]
    mask: NDArray[np.bool_]
    first: int = 0

    def __post_init__(self) -> None:
        if self.intensities.ndim != 3:
            raise InputError(f"frames must have axes (n, y, x), got shape {self.intensities.shape}")
        if self.mask.shape != self.intensities.shape[1:]:
            raise InputError(f"mask {self.mask.shape} doesn't fit frames of {self.intensities.shape[1:]}")

    def __repr__(self) -> str:
        n, rows, columns = self.intensities.shape
        return (
            f"Frames({n} frames of {rows} × {columns} from number {self.first}, {self.intensities.dtype}, "
            f"mask leaves {self.mask.mean():.1%})"
        )

    def _repr_png_(self) -> bytes | None:
        """Return the first frames as Jupyter shows them; None where there are none."""
        from friedel.spi.figures import frames_png

        return frames_png(self.intensities[:_SHOWN], self.mask, first=self.first) if len(self.intensities) else None


@dataclass(frozen=True, kw_only=True)
class Beam:
    """What turns pixels of a frame into lengths in the sample.

    Attributes
    ----------
    photon_energy_ev, distance_m, pixel_size_m : float
        Beam energy; from the particles to the detector; pitch of the frames' pixels.
    """

    photon_energy_ev: float
    distance_m: float
    pixel_size_m: float


SIZES = ("diameter", "diameter_error", "fluence", "asphericity", "unround")
"""Scores that are NaN where no size was measured."""


def _unknown() -> NDArray[np.float32]:
    return np.zeros(0, np.float32)


@dataclass(frozen=True, eq=False, kw_only=True)
class HitScores:
    """What each frame looks like. All arrays are ``(n,)``, one entry a frame, in the frames' order.

    Attributes
    ----------
    single : float32 in [0, 1]
        Calibrated probability that one particle alone made the pattern; in a run of clear hits middling frames have
        less. 0 for frames without a score.
    fringes : float32, at least 0
        Fringe visibility: signal-to-noise ratio of the fringes, from the photons themselves.
    out_of_distribution : float32, at least 0
        How unlike anything seen in training: 1 at the training data's 99th percentile.
    blank : float32 in [0, 1]
        Probability that the frame shows the run's background alone. `other` is what is left.
    diameter, diameter_error : float32
        Of the sphere whose projection has the area of the particle's, and its standard deviation, in ``length_unit``;
        NaN where no size was measured: frames without visible fringes, or hardly of one particle.
    fluence : float32
        Photons/µm² that hit the particle where lengths are nm (for the density of protein); else the photons a pixel
        that it would scatter along the beam, which go with the fluence. NaN as for the diameter.
    asphericity : float32
        1 − short / long axis of the particle's projected outline. NaN as for the diameter.
    unround : float32
        By how many standard deviations the pattern isn't a round one: a ball's has 0 ± 1, whatever its size. NaN as for
        the diameter.
    reject_band : bool
        The probability lies in the band in which the model errs too often to decide alone.
    good : bool
        The default selection: single *and* with fringes one can see.
    status : uint8
        `FrameStatus` of each frame.
    model : str
        Name and hash of the weights that scored them.
    length_unit : str
        "nm" where the beam and the detector's place are known, else "px": pixels of the real-space image of the
        square of 128 pixels, wavelength × distance / (128 × pixel size).
    """

    single: NDArray[np.float32]
    fringes: NDArray[np.float32]
    out_of_distribution: NDArray[np.float32]
    reject_band: NDArray[np.bool_]
    good: NDArray[np.bool_]
    status: NDArray[np.uint8]
    model: str = field(default="")
    blank: NDArray[np.float32] = field(default_factory=_unknown)
    diameter: NDArray[np.float32] = field(default_factory=_unknown)
    diameter_error: NDArray[np.float32] = field(default_factory=_unknown)
    fluence: NDArray[np.float32] = field(default_factory=_unknown)
    asphericity: NDArray[np.float32] = field(default_factory=_unknown)
    unround: NDArray[np.float32] = field(default_factory=_unknown)
    length_unit: str = "px"

    def __post_init__(self) -> None:
        for name in ("blank", *SIZES):
            if not getattr(self, name).size:
                unknown = np.full(len(self.single), np.nan if name in SIZES else 0.0, np.float32)
                object.__setattr__(self, name, unknown)

    def __len__(self) -> int:
        return len(self.single)

    def __repr__(self) -> str:
        blank, unscored = int((self.blank >= 0.5).sum()), int(np.sum(self.status != FrameStatus.SCORED))
        return (
            f"HitScores({len(self)} frames: {int(self.good.sum())} good ({self.hit_rate:.1%}), {blank} blank, "
            f"{int(self.reject_band.sum())} in the reject band, {unscored} without a score; "
            f"model {self.model or 'unknown'})"
        )

    def _repr_html_(self) -> str:
        """Return the counts and the histogram of ``single`` as Jupyter shows them."""
        scored = self.single[self.status == FrameStatus.SCORED]
        counts, _ = np.histogram(scored, bins=_BINS, range=(0, 1))
        # Counts go by their root: a run's bins differ by a factor of thousand.
        heights, wide = _HIGH * np.sqrt(counts / max(int(counts.max(initial=1)), 1)), _WIDE / _BINS
        bars = "".join(
            f'<rect x="{k * wide:.1f}" y="{_HIGH - height:.1f}" width="{wide - 1:.1f}" height="{height:.1f}"/>'
            for k, height in enumerate(heights)
        )
        known = self.diameter[self.good & np.isfinite(self.diameter)]
        rows = {
            "frames": f"{len(self)}",
            "good": f"{int(self.good.sum())} ({self.hit_rate:.1%})",
            "blank": f"{int((self.blank >= 0.5).sum())}",
            "in the reject band": f"{int(self.reject_band.sum())}",
            "without a score": f"{int(np.sum(self.status != FrameStatus.SCORED))}",
            "median diameter": f"{np.median(known):.4g} {self.length_unit}" if known.size else "unknown",
        }
        table = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
        return (
            f"<table>{table}</table>"
            f'<svg width="{_WIDE}" height="{_HIGH + 18}" fill="#0072b2" role="img" '
            f'aria-label="Frames by their probability of one particle alone">{bars}'
            f'<text y="{_HIGH + 14}" font-size="12" fill="gray">0: other</text>'
            f'<text x="{_WIDE}" y="{_HIGH + 14}" font-size="12" fill="gray" text-anchor="end">1: single</text></svg>'
        )

    @property
    def other(self) -> NDArray[np.float32]:
        """Probability that a frame shows anything but a blank or one particle; 0 for frames without a score."""
        scored = self.status == FrameStatus.SCORED
        return np.where(scored, (1 - self.single - self.blank).clip(0, 1), 0).astype(np.float32)

    @property
    def hit_rate(self) -> float:
        """Fraction of the frames in the default selection; 0 for no frames."""
        return float(self.good.mean()) if len(self) else 0.0


def no_scores(model: str) -> HitScores:
    """Return the scores of no frames."""
    none, never = np.zeros(0, np.float32), np.zeros(0, bool)
    status = np.zeros(0, np.uint8)
    return HitScores(
        single=none, fringes=none, out_of_distribution=none, reject_band=never, good=never, status=status, model=model
    )


def joined_scores(parts: Sequence[HitScores]) -> HitScores:
    """Return the scores of consecutive stretches of a run as one; all are of one model.

    Raises
    ------
    InputError
        If there is no part.
    """
    if not parts:
        raise InputError("there are no frames, so there are no scores; give at least one frame")
    names = [item.name for item in fields(HitScores) if isinstance(getattr(parts[0], item.name), np.ndarray)]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **columns)
