"""The conditions under which phasing is judged, and the crystals with their patterns that each consists of.

No crystal of these was in any training: one family (`friedel.bcdi.crystals.wavy_crystal`) is never trained with, the
other is drawn from seeds that training doesn't use.
"""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.crystals.wavy_crystal import wavy_crystal
from friedel.bcdi.forward.bragg import diffract, gap_mask
from friedel.bcdi.records import Diffraction
from friedel.core.errors import InputError

TURN = 2 * np.pi
# Seeds of test crystals: from here on, so many apart for each seed of the evaluation; training's are elsewhere.
_FIRST = 71_000_000
_PER_SEED = 100_000
_RANGES, _NOISE = 1, 2  # streams of chance
_ATTEMPTS = 20  # draws of an outline before giving up; nearly every draw is usable


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One kind of pattern.

    Attributes
    ----------
    name : str
        Its folder.
    label : str
        What the report calls it.
    crystals : int
        How many crystals are phased.
    size : int
        Edge of the array, voxels.
    photons : float
        In the whole pattern.
    phase_range_rad : (float, float)
        Range from which each crystal's peak-to-peak phase is drawn.
    oversampling : float or None
        Box over the crystal's extent along every axis; None draws it.
    over_sphere : float or None
        Box over the diameter of the sphere round the crystal; wins over ``oversampling``.
    gap : (int, int)
        Rows and columns of the detector that are missing beside the peak.
    pictured : bool
        Whether its first crystal is shown.
    """

    name: str
    label: str
    crystals: int
    size: int = 32
    photons: float = 1e7
    phase_range_rad: tuple[float, float] = (TURN, TURN)
    oversampling: float | None = None
    over_sphere: float | None = None
    gap: tuple[int, int] = (0, 0)
    pictured: bool = False

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(z, y, x)`` of the array."""
        return (self.size, self.size, self.size)


@dataclass(frozen=True, eq=False)
class Case:
    """A crystal under a condition.

    Attributes
    ----------
    truth : (z, y, x) complex64
        The object.
    pattern : Diffraction
        Its photons.
    """

    truth: NDArray[np.complex64]
    pattern: Diffraction


def make_case(condition: Condition, number: int, *, seed: int) -> Case:
    """Make a crystal and its pattern; crystal ``number`` is the same under every condition that leaves it its choice.

    Even numbers are of the family that no network learns from, odd ones of the package's own.
    """
    phase_range = float(np.random.default_rng((seed, number, _RANGES)).uniform(*condition.phase_range_rad))
    truth = _crystal(condition, number, seed, phase_range)
    measured = _measured(condition)
    counts = diffract(truth, n_photons=condition.photons, seed=_seed(seed, number) + _NOISE)
    name = f"{condition.label}, crystal {number}"
    return Case(truth, Diffraction(intensities=np.where(measured, counts, np.float32(0)), mask=measured, name=name))


def _seed(seed: int, number: int) -> int:
    return _FIRST + _PER_SEED * seed + 10 * number


def _crystal(condition: Condition, number: int, seed: int, phase_range: float) -> NDArray[np.complex64]:
    sphere, start = condition.over_sphere, _seed(seed, number)
    if sphere is not None or (condition.oversampling is None and number % 2 == 0):
        return wavy_crystal(condition.shape, seed=start, phase_range_rad=phase_range, over_sphere=sphere)
    for attempt in range(_ATTEMPTS):
        # Now and then the planes drawn bound a body so skew that its box's centre lies outside it.
        with suppress(InputError):
            return random_crystal(
                condition.shape,
                seed=start + 7919 * attempt,
                phase_range_rad=phase_range,
                oversampling=condition.oversampling,
            ).object
    raise InputError(f"no crystal could be drawn for {condition.label!r}; choose another seed")


def _measured(condition: Condition) -> NDArray[np.bool_]:
    n, (rows, columns) = condition.size, condition.gap
    first = n // 2 + max(2, n // 10)
    known = gap_mask(
        (n, n),
        rows=(first, first + rows) if rows else None,
        columns=(first + 1, first + 1 + columns) if columns else None,
    )
    return np.broadcast_to(known, condition.shape).copy()
