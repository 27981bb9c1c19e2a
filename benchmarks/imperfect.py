"""Simulated patterns with what real ones have: images that are right and trusted, and wrong and trusted.

Ten kinds, each with its strength drawn anew for every crystal: partial coherence, background, drift of beam and angles,
pixel response, fringes cut off at the detector's edge, a neighbour in the beam, absorption, an incoherent second grain,
aliens, and few frames. Crystals of two generators with phases of up to a turn peak to peak. An image is right if its
phase is within 0.2 rad (rms) of the truth and within three of its own error bars, of which less than 0.05 rad counts as
0.05. Bars: at least 85 % right and trusted, none wrong and trusted.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from crystals import GENERATORS, against_truth, crystal
from numpy.typing import NDArray
from report import Report, arguments, spread

from friedel.bcdi.forward.bragg import add_aliens, blur_by_coherence, count_photons, expected_intensities
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.reconstruct import reconstruct
from friedel.core.fourier import fourier
from friedel.core.machine.memory import keep_freed_memory

RIGHT_RAD, BEYOND, LEAST_CLAIM_RAD = 0.2, 3.0, 0.05
MIN_RIGHT = 0.85
PHOTONS_PER_VOXEL = 300.0
Object: TypeAlias = NDArray[np.complex64]
Floats: TypeAlias = NDArray[np.float32]
Made: TypeAlias = tuple[Object, Floats]


@dataclass(frozen=True)
class Scene:
    """What a kind makes its pattern of."""

    generator: str
    n: int
    seed: int
    rng: np.random.Generator

    @property
    def n_photons(self) -> float:
        """Expected photons of the crystal."""
        return PHOTONS_PER_VOXEL * self.n**3

    def crystal(self, n: int | None = None, *, seed: int = 0) -> Object:
        """Return a crystal on a cube of ``n`` voxels an axis, another one for each seed."""
        return crystal(self.generator, (n or self.n,) * 3, seed=self.seed + seed, phase_range_rad=2 * np.pi)

    def expected(self, obj: Object, *, share: float = 1.0) -> Floats:
        """Return the mean counts of an object."""
        return expected_intensities(obj, n_photons=share * self.n_photons)


def partial_coherence(scene: Scene) -> Made:
    """Blur by coherence lengths of 0.4 to 0.9 of the box along each axis."""
    x, y, z = scene.n * scene.rng.uniform(0.4, 0.9, 3)
    truth = scene.crystal()
    return truth, blur_by_coherence(scene.expected(truth), (float(x), float(y), float(z)))


def background(scene: Scene) -> Made:
    """Add flat counts of 0.1 to 1 a voxel, and a halo of up to 2 % of the photons around the peak."""
    truth, n = scene.crystal(), scene.n
    halo = np.exp(-0.5 * (((np.indices((n, n, n)) - n // 2) / (0.2 * n)) ** 2).sum(0))
    light = scene.rng.uniform(0.1, 1.0) + scene.rng.uniform(0.0, 0.02) * scene.n_photons * halo / halo.sum()
    return truth, scene.expected(truth) + light.astype(np.float32)


def drift(scene: Scene) -> Made:
    """Give frames 2 to 5 % more or less light, at angles off by up to a tenth of a step."""
    truth, n = scene.crystal(), scene.n
    at = np.arange(n) - n // 2 + scene.rng.normal(0.0, scene.rng.uniform(0.02, 0.1), n)
    planes = np.fft.fftshift(np.fft.fft2(np.fft.ifftshift(truth, axes=(1, 2))), axes=(1, 2))
    rocked = np.exp(-2j * np.pi * np.outer(at, np.arange(n) - n // 2) / n) @ planes.reshape(n, -1)
    intensity = np.abs(rocked.reshape(n, n, n)) ** 2
    intensity *= np.exp(scene.rng.normal(0.0, scene.rng.uniform(0.02, 0.05), (n, 1, 1)))
    return truth, (intensity * scene.n_photons / intensity.sum()).astype(np.float32)


def pixel_response(scene: Scene) -> Made:
    """Give each pixel a gain that varies by 1 to 4 %."""
    truth, n = scene.crystal(), scene.n
    gain = 1.0 + scene.rng.normal(0.0, scene.rng.uniform(0.01, 0.04), (n, n))
    return truth, (scene.expected(truth) * gain).astype(np.float32)


def cut_off(scene: Scene) -> Made:
    """End the detector where fringes don't: the middle of a pattern 1.5 times as wide."""
    fine = torch.from_numpy(scene.crystal(2 * (3 * scene.n // 4)))
    truth = lower(fine, (scene.n,) * 3)
    return truth.numpy(), scene.expected(truth.numpy())


def neighbour(scene: Scene) -> Made:
    """Add another crystal of 5 to 15 % of the amplitude, at the box's edge and lit coherently."""
    truth = scene.crystal()
    other = np.roll(scene.crystal(seed=1000), scene.n // 2, axis=int(scene.rng.integers(3)))
    return truth, scene.expected((truth + scene.rng.uniform(0.05, 0.15) * other).astype(np.complex64))


def absorption(scene: Scene) -> Made:
    """Let amplitudes fall by 10 to 40 % across the crystal."""
    truth, n = scene.crystal(), scene.n
    way = scene.rng.normal(size=3)
    along = np.tensordot(way / np.linalg.norm(way), np.indices((n, n, n)) - n // 2, axes=1)
    inside = np.abs(truth) > 0
    depth = (along - along[inside].min()) / np.ptp(along[inside])
    truth = (truth * np.exp(np.log(1.0 - scene.rng.uniform(0.1, 0.4)) * depth)).astype(np.complex64)
    return truth, scene.expected(truth)


def second_grain(scene: Scene) -> Made:
    """Add another grain's pattern of 3 to 15 % of the photons, a few voxels aside, added in intensity."""
    truth = scene.crystal()
    share = float(scene.rng.uniform(0.03, 0.15))
    aside = tuple(int(k) for k in scene.rng.integers(-4, 5, 3))
    return truth, scene.expected(truth) + np.roll(
        scene.expected(scene.crystal(seed=2000), share=share), aside, (0, 1, 2)
    )


def aliens(scene: Scene) -> Made:
    """Add three peaks of other crystals, each of 0.1 to 1 % of the photons."""
    truth = scene.crystal()
    each = float(10 ** scene.rng.uniform(-3, -2)) * scene.n_photons
    return truth, add_aliens(scene.expected(truth), n_aliens=3, n_photons=each, seed=scene.seed)


def few_frames(scene: Scene) -> Made:
    """Take half as many frames: the rocking curve ends before the fringes do."""
    truth = lower(torch.from_numpy(scene.crystal()), (scene.n // 2, scene.n, scene.n))
    intensity = fourier(truth).abs().square().numpy()
    return truth.numpy(), (intensity * scene.n_photons / intensity.sum()).astype(np.float32)


KINDS: dict[str, Callable[[Scene], Made]] = {
    "partial coherence": partial_coherence,
    "background": background,
    "drift": drift,
    "pixel response": pixel_response,
    "cut-off fringes": cut_off,
    "neighbour": neighbour,
    "absorption": absorption,
    "second grain": second_grain,
    "aliens": aliens,
    "few frames": few_frames,
}


@dataclass(frozen=True)
class Judged:
    """One image."""

    error_rad: float
    claimed_rad: float
    correlation: float
    trusted: bool
    cpu_seconds: float

    @property
    def right(self) -> bool:
        """Whether the phase is what it claims to be."""
        allowed = min(RIGHT_RAD, BEYOND * max(self.claimed_rad, LEAST_CLAIM_RAD))
        return self.error_rad <= allowed


def judge(kind: str, generator: str, n: int, seed: int) -> Judged:
    """Phase one pattern with the defaults."""
    scene = Scene(generator, n, seed, np.random.default_rng([seed, n, list(KINDS).index(kind)]))
    truth, expected = KINDS[kind](scene)
    began = time.process_time()
    found = reconstruct(count_photons(expected, seed=seed), seed=seed)
    seconds = time.process_time() - began
    correlation, error = against_truth(found.object, truth)
    quality = found.quality
    return Judged(error, quality.phase_error_rad or 0.0, correlation, quality.trusted, seconds)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=5, help="of each generator and kind")
    parser.add_argument("--first", type=int, default=500, help="seed of the first crystal")
    parser.add_argument("--size", type=int, default=32, help="voxels an axis")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    keep_freed_memory()
    count = 1 if given.quick else given.crystals
    report = Report(f"imperfect patterns {given.size}: right and trusted, wrong and trusted", given.quick)
    every: list[Judged] = []
    for kind in given.kinds:
        found = []
        for generator in GENERATORS:
            for seed in range(given.first, given.first + count):
                found.append(judge(kind, generator, given.size, seed))
                print(f"  {kind}, {generator} {seed}: {found[-1]}", flush=True)
        every += found
        right = sum(one.trusted and one.right for one in found)
        wrong = sum(one.trusted and not one.right for one in found)
        report.add(f"{kind}: right and trusted · wrong and trusted", f"{right} · {wrong} of {len(found)}")
        report.add(f"{kind}: phase error, rad", spread([one.error_rad for one in found]))
    share = sum(one.trusted and one.right for one in every) / len(every)
    wrong = sum(one.trusted and not one.right for one in every)
    report.add("all: right and trusted", f"{share:.0%}", bar=f">= {MIN_RIGHT:.0%}", met=share >= MIN_RIGHT)
    report.add("all: wrong and trusted", f"{wrong} of {len(every)}", bar="0", met=wrong == 0)
    report.add("all: CPU seconds", spread([one.cpu_seconds for one in every], 1))
    report.finish()


if __name__ == "__main__":
    main()
