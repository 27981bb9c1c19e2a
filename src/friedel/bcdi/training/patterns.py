"""Random crystals and their diffraction patterns, made when needed: what phasing networks learn from. None is stored.

Each pattern has a number; seed and number alone decide it, so that any order, process or resumed run sees the same.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from friedel.bcdi.crystals.drawn_object import drawn_object
from friedel.bcdi.crystals.random_crystal import random_crystal
from friedel.bcdi.forward.bragg import count_photons, gap_mask
from friedel.bcdi.networks.patterns import network_input
from friedel.bcdi.simulation.store import read_crystals
from friedel.bcdi.training.plan import CrystalOptions
from friedel.core.errors import InputError
from friedel.core.fourier import fourier, frequencies
from friedel.core.training.examples import Batches

Batch = tuple[Tensor, Tensor, Tensor]
_ATTEMPTS = 20  # draws of an outline before giving up; nearly every draw is usable
_HELD_BACK = 10  # every tenth crystal of a store is for validation alone
# Transforms of crystals that are kept for their other symmetries: 128 MiB at 32³.
_KEPT = 512
TRAINING, VALIDATION = 0, 1
"""Streams of crystals that never meet, whatever their numbers."""
_PATTERN = 1  # stream of chance for photons, noise and gaps, apart from the crystal's own


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalPattern:
    """A crystal's pattern with its truth.

    Attributes
    ----------
    intensities : (z, y, x) float32
        Photons; 0 where not measured. Origin at index ``n // 2``.
    measured : (z, y, x) bool
        Where.
    diffraction : (z, y, x) complex64
        The crystal's noise-free F, its centre of mass exactly at index ``n // 2`` and Σ|F|² the expected photons.
    """

    intensities: NDArray[np.float32]
    measured: NDArray[np.bool_]
    diffraction: NDArray[np.complex64]


def crystal_pattern(number: int, options: CrystalOptions, *, seed: int, stream: int = TRAINING) -> CrystalPattern:
    """Make the pattern of this number.

    Parameters
    ----------
    number : int
        Which one.
    options : CrystalOptions
        What to draw from.
    seed, stream : int
        Seed of all patterns, and which of its streams.

    Raises
    ------
    InputError
        If the store of crystals can't be read, or holds too few.
    """
    symmetries = options.symmetries if stream == TRAINING else 1
    diffraction = _kept_diffraction(number // symmetries, options, seed, stream)
    rng = np.random.default_rng((seed, stream, number, _PATTERN))
    if symmetries > 1:
        diffraction = _turned(diffraction, rng)
    diffraction = diffraction * np.float32(np.exp(rng.uniform(*np.log(options.photons)) / 2))
    counts = count_photons(np.abs(diffraction) ** 2, seed=int(rng.integers(2**62)))
    measured = _measured(options, rng)
    return CrystalPattern(intensities=counts * measured, measured=measured, diffraction=diffraction)


@lru_cache(maxsize=_KEPT)
def _kept_diffraction(number: int, options: CrystalOptions, seed: int, stream: int) -> NDArray[np.complex64]:
    return _centred_diffraction(_object(options, stream, np.random.default_rng((seed, stream, number))))


def _turned(diffraction: NDArray[np.complex64], rng: np.random.Generator) -> NDArray[np.complex64]:
    """Return a diffraction from another side: axes exchanged and flipped about the origin, at random."""
    turned = diffraction.transpose(rng.permutation(3))
    for axis in np.flatnonzero(rng.random(3) < 0.5):
        turned = np.roll(np.flip(turned, int(axis)), 1, int(axis))
    return np.ascontiguousarray(turned)


def _object(options: CrystalOptions, stream: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    if options.store is not None and rng.random() < options.stored_share:
        return _stored(options.store, options, stream, rng)
    for _ in range(_ATTEMPTS - 1):
        # Now and then the planes drawn bound a body so skew that its box's centre lies outside it.
        with suppress(InputError):
            return _made(options, rng)
    return _made(options, rng)


def _made(options: CrystalOptions, rng: np.random.Generator) -> NDArray[np.complex64]:
    z, y, x = rng.uniform(*options.oversampling, 3)
    return random_crystal(
        options.shape,
        seed=int(rng.integers(2**62)),
        phase_range_rad=rng.uniform(*options.phase_range_rad),
        oversampling=(z, y, x),
        strain_family=str(rng.choice(options.strains)),
    ).object


def _stored(path: Path, options: CrystalOptions, stream: int, rng: np.random.Generator) -> NDArray[np.complex64]:
    store = _opened(path)
    held = np.arange(len(store)) % _HELD_BACK == _HELD_BACK - 1
    members = np.flatnonzero(held if stream == VALIDATION else ~held)
    if not members.size:
        raise InputError(f"{path}: {len(store)} crystals are too few; at least {_HELD_BACK} are needed")
    return drawn_object(
        store[int(rng.choice(members))],
        options.shape,
        rng=rng,
        reflections=options.reflections,
        oversampling=options.oversampling,
        phase_range_rad=options.phase_range_rad if options.magnify else None,
    ).object


_opened = lru_cache(maxsize=4)(read_crystals)


def _measured(options: CrystalOptions, rng: np.random.Generator) -> NDArray[np.bool_]:
    n = options.size
    away = np.abs(np.arange(n) - n // 2)
    z, y, x = (away <= rng.uniform(*options.coverage) * n / 2 for _ in range(3))
    measured = z[:, None, None] & y[:, None] & x
    if rng.random() < options.gaps:
        # Beside the peak: an experimenter keeps the peak itself out of the detector's gaps.
        first, width = int(rng.choice([-1, 1])) * int(rng.integers(3, n // 2)) + n // 2, int(rng.integers(1, 4))
        gap = (first, min(first + width, n))
        rows = bool(rng.random() < 0.5)
        measured &= gap_mask((n, n), rows=gap if rows else None, columns=None if rows else gap)
    return np.asarray(measured)


def _centred_diffraction(obj: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return F of an object moved so that its centre of mass is at the origin; Σ|F|² = 1."""
    diffraction = fourier(torch.from_numpy(obj))
    density = np.abs(obj) ** 2
    for axis, n in enumerate(obj.shape):
        profile = density.sum(axis=tuple(other for other in range(3) if other != axis))
        centre = float((profile * (np.arange(n) - n // 2)).sum() / profile.sum())
        along = torch.roll(frequencies(n), n // 2) * (2 * torch.pi * centre)
        diffraction = diffraction * torch.polar(torch.ones(n), along).reshape(
            [-1 if k == axis else 1 for k in range(3)]
        )
    return np.asarray(diffraction.numpy() / np.sqrt(density.sum()), dtype=np.complex64)


class PatternReader(Dataset[Batch]):
    """Random crystals as a dataset whose index is a whole batch of their numbers."""

    def __init__(self, options: CrystalOptions, count: int, *, seed: int, stream: int) -> None:
        self.options, self.count, self.seed, self.stream = options, count, seed, stream

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, numbers: NDArray[np.intp]) -> Batch:
        """Return inputs ``(b, 1, z, y, x)``, true diffractions and where they were measured, ``(b, z, y, x)``."""
        made = [crystal_pattern(int(k), self.options, seed=self.seed, stream=self.stream) for k in numbers]
        inputs = network_input(torch.from_numpy(np.stack([pattern.intensities for pattern in made])))
        truth = torch.from_numpy(np.stack([pattern.diffraction for pattern in made]))
        return inputs, truth, torch.from_numpy(np.stack([pattern.measured for pattern in made])).float()


class FreshBatches(Batches):
    """Numbers of each batch, in every epoch new ones."""

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield each batch's numbers, ``(b,)``."""
        yield from (positions + self.epoch * self.count for positions in super().__iter__())
