"""Merging hits: correlation of the merged intensity with the truth, seeds, cost, fluences, contaminants.

A detector of 81², radius 40 px, stop 3.5 px, Ewald radius 200 px; a particle of 30 small balls within 20 voxels, which
have an exact transform. A: 1500 frames × 500 photons. B: the same, log-normal fluence, σ 0.5. C: 5000 × 200, σ 0.5.
Correlations are the mean over shells q = 5–40 after alignment over SO(3).
"""

import time
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from report import Report, arguments
from scipy.spatial.transform import Rotation

import friedel
from friedel.spi.frames.dragonfly import DragonflyDetector
from friedel.spi.merge.merged import Merged
from friedel.spi.orient.align import align, shell_correlation, turned
from friedel.spi.orient.solve import OrientOptions

Floats = NDArray[np.float64]
BOX, RADIUS, STOP, EWALD = 81, 40.0, 3.5, 200.0
SETS = {"A": (1500, 500.0, 0.0), "B": (1500, 500.0, 0.5), "C": (5000, 200.0, 0.5)}
BARS = {"A": (0.94, 0.88, 25.0), "B": (0.94, 0.88, 25.0), "C": (0.90, 0.0, 150.0)}


def detector() -> DragonflyDetector:
    """Return the flat detector, in voxels."""
    y, x = np.mgrid[:BOX, :BOX] - (BOX - 1) / 2
    length = np.sqrt(x**2 + y**2 + EWALD**2)
    q = np.stack([x * EWALD / length, y * EWALD / length, EWALD * (EWALD / length - 1)], axis=-1).reshape(-1, 3)
    radius = np.hypot(x, y).ravel()
    mask = np.where(radius > RADIUS, 2, np.where(radius < STOP, 1, 0)).astype(np.uint8)
    return DragonflyDetector(q=q, correction=np.ones(len(q)), mask=mask, distance=EWALD, ewald_radius=EWALD)


def balls(rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
    """Return places, radii and weights of a particle's balls, voxels."""
    places: list[Floats] = []
    radii: list[float] = []
    while len(places) < 30:
        place, radius = rng.normal(size=3) * 20 / 4.5, rng.uniform(0.8, 1.6)
        if np.linalg.norm(place) + radius < 10:
            places.append(place)
            radii.append(radius)
    return np.array(places), np.array(radii), rng.uniform(0.5, 1.5, 30)


def intensity(q: Floats, particle: tuple[Floats, Floats, Floats]) -> Floats:
    """Return |F|² of a particle at q, voxels ``(..., 3)``."""
    k = 2 * np.pi * q / BOX
    length = np.linalg.norm(k, axis=-1)
    total = np.zeros(q.shape[:-1], complex)
    for place, radius, weight in zip(*particle, strict=True):
        t = np.maximum(length * radius, 1e-3)
        total += weight * 4 * np.pi * radius**3 * (np.sin(t) - t * np.cos(t)) / t**3 * np.exp(-1j * (k @ place))
    return np.abs(total) ** 2


def frames_of(
    seed: int, n_frames: int, photons: float, sigma: float
) -> tuple[NDArray[np.uint8], Floats, tuple[Floats, Floats, Floats]]:
    """Return a set's frames, fluences and particle."""
    rng, where = np.random.default_rng(seed), detector()
    particle = balls(rng)
    rotations = Rotation.random(n_frames, random_state=seed + 1000).as_matrix()
    fluence = np.exp(rng.normal(0, sigma, n_frames))
    fluence /= fluence.mean()
    used = where.mask == 0
    mean = np.concatenate([intensity(where.q[used] @ r.T, particle)[None].astype(np.float32) for r in rotations])
    mean *= photons / mean.sum(1).mean() * fluence[:, None]
    frames = np.zeros((n_frames, len(used)), np.uint8)
    frames[:, used] = rng.poisson(mean)
    return frames, fluence, particle


def against_truth(found: NDArray[np.float32], particle: tuple[Floats, Floats, Floats]) -> Floats:
    """Return the correlation with the truth in shells 5 to 40."""
    axis = np.arange(BOX) - BOX // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    truth = torch.from_numpy(intensity(np.stack([x, y, z], axis=-1).astype(float), particle).astype(np.float32))
    volume = torch.from_numpy(found)
    return shell_correlation(truth, turned(volume, align(truth, volume, q_min=5, q_max=38)), 41)[5:]


def run(name: str, seeds: range, report: Report) -> None:
    """Measure one set over seeds."""
    means, at_35, seconds, fluences, off, to_25 = [], [], [], [], [], []
    for seed in seeds:
        frames, fluence, particle = frames_of(seed, *SETS[name])
        began = time.process_time()
        merged = friedel.merge(frames, detector(), options=OrientOptions(seed=seed))
        seconds.append(time.process_time() - began)
        shells = against_truth(merged.intensity, particle)
        means.append(float(np.nanmean(shells)))
        at_35.append(float(shells[30]))
        to_25.append(float(shells[:21].min()))
        off.append(abs(merged.quality.mean_corrected - means[-1]))
        if SETS[name][2]:
            fluences.append(float(np.corrcoef(merged.fluence[merged.used], fluence[merged.used])[0, 1]))
    mean, edge, cost = BARS[name]
    if name == "C":
        good = sum(value >= mean for value in to_25)
        report.add(
            "C: to q = 25, worst shell",
            f"{min(to_25):.3f}, {good} of {len(seeds)}",
            bar=f"{mean}, all",
            met=good == len(seeds),
        )
    else:
        good = sum(m >= mean and e >= edge for m, e in zip(means, at_35, strict=True))
        report.add(
            f"{name}: mean of shells · at q = 35, worst",
            f"{min(means):.3f} · {min(at_35):.3f}, {good} of {len(seeds)}",
            bar=f"{mean} · {edge}, all",
            met=good == len(seeds),
        )
        report.add(f"{name}: halves, corrected, off the truth", f"{max(off):.3f}", bar="0.03", met=max(off) <= 0.03)
    report.add(
        f"{name}: CPU-seconds, median",
        f"{np.median(seconds):.1f}",
        bar=f"{cost:.0f}",
        met=float(np.median(seconds)) <= cost,
    )
    if fluences:
        report.add(
            f"{name}: fluence against truth, worst", f"{min(fluences):.4f}", bar="0.99", met=min(fluences) >= 0.99
        )


def spoilt(frames: NDArray[np.uint8], seed: int) -> tuple[NDArray[np.uint8], DragonflyDetector]:
    """Return frames with a pnCCD's gap and dead pixels (5.9 %) and a background of 100 photons, and the detector."""
    rng, where = np.random.default_rng(seed), detector()
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    bad = (np.abs(y) <= 1) | ((x == 17) & (y > 0)) | ((x == -23) & (y < 0))
    bad |= np.random.default_rng(5).random((BOX, BOX)) < 0.003
    glow = (np.exp(-np.hypot(x, y) / 25) + 0.2).ravel() * (where.mask == 0)
    glow *= 100 / glow.sum()
    mask = np.where(bad.ravel(), 2, where.mask).astype(np.uint8)
    more = frames + rng.poisson(np.tile(glow, (len(frames), 1)))
    return (more * (mask == 0)).astype(np.uint8), replace(where, mask=mask)


def contaminants(n: int, photons: float, seed: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return frames of another particle, and junk: flat, a round glow, a streak."""
    rng, used = np.random.default_rng(seed), detector().mask == 0
    y, x = np.mgrid[:BOX, :BOX] - BOX // 2
    junk = []
    for number in range(n):
        angle = rng.uniform(0, np.pi)
        shapes = (
            np.ones((BOX, BOX)),
            np.exp(-np.hypot(x, y) / rng.uniform(5, 20)),
            np.exp(-(((x * np.sin(angle) - y * np.cos(angle)) / 4) ** 2)) + 0.1,
        )
        mean = shapes[number % 3].ravel() * used
        junk.append(rng.poisson(mean / mean.sum() * photons))
    return frames_of(seed, n, photons, 0.0)[0], np.array(junk, np.uint8)


def run_spoilt(seeds: range, report: Report) -> None:
    """Measure what gaps with a background, and contaminants, cost set A."""
    lost, lost_to_others, named, wrongly = [], [], [], []
    for seed in seeds:
        frames, _, particle = frames_of(seed, *SETS["A"])
        options = OrientOptions(seed=seed)

        def quality(found: Merged, particle: tuple[Floats, Floats, Floats] = particle) -> float:
            return float(np.nanmean(against_truth(found.intensity, particle)))

        clean = quality(friedel.merge(frames, detector(), options=options))
        bad, where = spoilt(frames, seed + 900)
        lost.append(clean - quality(friedel.merge(bad, where, options=options)))
        others, junk = contaminants(len(frames) // 8, 500.0, seed + 500)
        mixed = friedel.merge(np.concatenate([frames, others, junk]), detector(), options=options)
        lost_to_others.append(clean - quality(mixed))
        out = ~mixed.used
        named.append(float(out[len(frames) :].mean()))
        wrongly.append(float(out[: len(frames)].mean()))
    report.add("A with gaps and background: lost", f"{max(lost):.3f}", bar="0.02", met=max(lost) <= 0.02)
    worst = max(lost_to_others)
    report.add("A with 10 % junk, 10 % of another: lost", f"{worst:.3f}", bar="0.02", met=worst <= 0.02)
    figure = f"{min(named):.1%} ({max(wrongly):.1%} of the others)"
    report.add("  of them named, worst", figure, bar="90 %", met=min(named) >= 0.9)


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__)
    report = Report("merging: orientations and intensity from hits", quick=given.quick)
    for name, full in (("A", 10), ("B", 10), ("C", 5)):
        if not (given.quick and name == "C"):
            run(name, range(1 if given.quick else full), report)
    run_spoilt(range(1 if given.quick else 3), report)
    report.finish()


if __name__ == "__main__":
    main()
