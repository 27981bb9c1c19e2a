"""Merging hits: correlation of the merged intensity with the truth, seeds, cost, fluences, contaminants.

A detector of 81², radius 40 px, stop 3.5 px, Ewald radius 200 px; a particle of 30 small balls within 20 voxels, which
have an exact transform. A: 1500 frames × 500 photons. B: the same, log-normal fluence, σ 0.5. C: 5000 × 200, σ 0.5.
Correlations are the mean over shells q = 5–40 after alignment over SO(3).

Other particles, 1500 frames × 500 photons of each: what the verdict promises beside what the intensity has. An
icosahedral one of 60 images of two balls, with a tenth of the frames and its symmetry imposed.
"""

import argparse
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from report import SHARED_DATA, Report, arguments
from scipy.spatial.transform import Rotation

import friedel
from friedel.core.fourier import inverse_fourier
from friedel.spi.density.compare import compare
from friedel.spi.frames.dragonfly import DragonflyDetector
from friedel.spi.merge.merged import Merged
from friedel.spi.orient.align import align, shell_correlation, sphere_correlation, turned
from friedel.spi.orient.solve import OrientOptions
from friedel.spi.orient.volume import sample
from friedel.spi.simulation.merge_data import MergeDataPlan, simulate_merge_data

Floats = NDArray[np.float64]
Balls = tuple[Floats, Floats, Floats]
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


def balls(rng: np.random.Generator) -> Balls:
    """Return places, radii and weights of a particle's balls, voxels."""
    places: list[Floats] = []
    radii: list[float] = []
    while len(places) < 30:
        place, radius = rng.normal(size=3) * 20 / 4.5, rng.uniform(0.8, 1.6)
        if np.linalg.norm(place) + radius < 10:
            places.append(place)
            radii.append(radius)
    return np.array(places), np.array(radii), rng.uniform(0.5, 1.5, 30)


def icosahedral(rng: np.random.Generator) -> Balls:
    """Return two balls in all sixty orientations of an icosahedron's rotations."""
    group = Rotation.create_group("I")
    own = rng.normal(size=(2, 3))
    own *= rng.uniform(4.0, 8.5, (2, 1)) / np.linalg.norm(own, axis=1, keepdims=True)
    return (
        np.concatenate([turn.apply(own) for turn in group]),
        np.tile(rng.uniform(0.8, 1.4, 2), 60),
        np.tile(rng.uniform(0.5, 1.5, 2), 60),
    )


def amplitude(q: Floats, particle: Balls) -> NDArray[np.complex128]:
    """Return a particle's transform at q, voxels ``(..., 3)``."""
    k = 2 * np.pi * q / BOX
    length = np.linalg.norm(k, axis=-1)
    total = np.zeros(q.shape[:-1], complex)
    for place, radius, weight in zip(*particle, strict=True):
        t = np.maximum(length * radius, 1e-3)
        total += weight * 4 * np.pi * radius**3 * (np.sin(t) - t * np.cos(t)) / t**3 * np.exp(-1j * (k @ place))
    return total


def intensity(q: Floats, particle: Balls) -> Floats:
    """Return |F|² of a particle at q, voxels ``(..., 3)``."""
    return np.abs(amplitude(q, particle)) ** 2


def frames_of(seed: int, n_frames: int, photons: float, sigma: float) -> tuple[NDArray[np.uint8], Floats, Balls]:
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


def on_grid(finer: int = 1) -> Floats:
    """Return the volume's voxels, or parts of them, as q, ``(n, n, n, 3)``, (x, y, z)."""
    axis = np.arange(-finer * (BOX // 2), finer * (BOX // 2) + 1) / finer
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return np.stack([x, y, z], axis=-1).astype(float)


def against_truth(found: NDArray[np.float32], particle: Balls) -> Floats:
    """Return the correlation with the truth in shells 5 to 40."""
    return against(found, intensity(on_grid(), particle).astype(np.float32))


def against(found: NDArray[np.float32], true: NDArray[np.float32], *, q_min: float = 5.0) -> Floats:
    """Return the correlation of two intensities in shells 5 to 40."""
    truth, volume = torch.from_numpy(true), torch.from_numpy(found)
    return shell_correlation(truth, turned(volume, align(truth, volume, q_min=q_min, q_max=38)), 41)[5:]


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
        print(
            f"{name} {seed}: {means[-1]:.4f}, at 35 {at_35[-1]:.3f}, to 25 {to_25[-1]:.3f}; promised "
            f"{merged.quality.mean_corrected:.3f} {merged.quality.verdict}; {seconds[-1]:.1f} CPU-s",
            flush=True,
        )
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

        def quality(found: Merged, particle: Balls = particle) -> float:
            return float(np.nanmean(against_truth(found.intensity, particle)))

        clean = quality(friedel.merge(frames, detector(), options=options))
        bad, where = spoilt(frames, seed + 900)
        lost.append(clean - quality(friedel.merge(bad, where, options=options)))
        others, junk = contaminants(len(frames) // 8, 500.0, seed + 500)
        mixed = friedel.merge(np.concatenate([frames, others, junk]), detector(), options=options)
        lost_to_others.append(clean - quality(mixed))
        out = ~mixed.used
        print(f"spoilt {seed}: clean {clean:.4f}, lost {lost[-1]:.4f}, {lost_to_others[-1]:.4f} to others", flush=True)
        named.append(float(out[len(frames) :].mean()))
        wrongly.append(float(out[: len(frames)].mean()))
    report.add("A with gaps and background: lost", f"{max(lost):.3f}", bar="0.02", met=max(lost) <= 0.02)
    worst = max(lost_to_others)
    report.add("A with 10 % junk, 10 % of another: lost", f"{worst:.3f}", bar="0.02", met=worst <= 0.02)
    figure = f"{min(named):.1%} ({max(wrongly):.1%} of the others)"
    report.add("  of them named, worst", figure, bar="90 %", met=min(named) >= 0.9)


def run_density(seeds: range, report: Report) -> None:
    """Measure the density of set A by default, against the truth."""
    found = []
    for seed in seeds:
        frames, _, particle = frames_of(seed, *SETS["A"])
        density = friedel.merge(frames, detector(), options=OrientOptions(seed=seed)).phase()
        truth = inverse_fourier(torch.from_numpy(amplitude(on_grid(), particle))).real.numpy().astype(np.float32)
        found.append(compare(density, truth, 1 / BOX).correlation)
    report.add(
        "density of A against truth: correlation, worst", f"{min(found):.3f}", bar="0.95", met=min(found) >= 0.95
    )


def run_icosahedral(seeds: range, report: Report) -> None:
    """Measure a tenth of the frames with the symmetry imposed beside all of them without."""
    gained = []
    for seed in seeds:
        frames, particle = many_frames(seed, 1500, 500.0, make=icosahedral)
        truth = intensity(on_grid(), particle).astype(np.float32)

        def quality(part: sp.csr_matrix, symmetry: str, truth: NDArray[np.float32] = truth, seed: int = seed) -> float:
            found = friedel.merge(part, detector(), options=OrientOptions(seed=seed, symmetry=symmetry))
            return float(np.nanmean(against(found.intensity, truth)))

        with_it, without = quality(frames[: frames.shape[0] // 10], "I"), quality(frames, "C1")
        print(f"icosahedral {seed}: {with_it:.3f} of 150 frames, {without:.3f} of 1500 without symmetry", flush=True)
        gained.append(with_it - without)
    worst = min(gained)
    report.add("icosahedra: 1/10 of the frames, symmetry imposed, gain", f"{worst:+.3f}", bar=">= 0", met=worst >= 0)


def many_frames(
    seed: int, n_frames: int, photons: float, *, make: Callable[[np.random.Generator], Balls] = balls
) -> tuple[sp.csr_matrix, Balls]:
    """Return frames drawn from a volume of half voxels, and their particle: quicker than from its exact transform."""
    rng, used = np.random.default_rng(seed), np.flatnonzero(detector().mask == 0)
    particle = make(rng)
    fine = torch.from_numpy(intensity(on_grid(2), particle).astype(np.float32))
    q, rows, scale = 2 * detector().q[used], [], 0.0
    for start in range(0, n_frames, 200):
        turns = Rotation.random(min(200, n_frames - start), random_state=rng).as_matrix()
        mean = sample(fine, torch.from_numpy((q @ turns.swapaxes(1, 2)).astype(np.float32))).double().numpy()
        scale = scale or photons / mean.sum(1).mean()
        rows.append(sp.csr_matrix(rng.poisson(scale * mean).astype(np.float32)))
    all_rows = sp.csr_matrix(sp.vstack(rows))
    return sp.csr_matrix(
        (all_rows.data, used[all_rows.indices], all_rows.indptr), (n_frames, len(detector().mask))
    ), particle


def run_many(seeds: range, report: Report) -> None:
    """Measure time and memory of many frames, beside a quarter of them."""
    n = 8000 if report.quick else 100_000
    for seed in seeds:
        frames, particle = many_frames(seed, n, 200.0)
        spent = []
        for part in (frames[: n // 4], frames):
            began, clock = time.process_time(), time.perf_counter()
            merged = friedel.merge(part, detector(), options=OrientOptions(seed=seed))
            spent.append(time.process_time() - began)
            wall = time.perf_counter() - clock
        shells = against_truth(merged.intensity, particle)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        report.add(
            f"{n} frames × 200: {wall:.0f} s, {spent[1]:.0f} CPU-s; memory",
            f"{memory:.1f} GB",
            bar="8 GB",
            met=memory <= 8,
        )
        report.add("  CPU-s of four times the frames, times", f"{spent[1] / spent[0]:.2f}", bar="4.4", met=None)
        report.add("  mean of shells · promised", f"{np.nanmean(shells):.3f} · {merged.quality.mean_corrected:.3f}")


def run_particles(report: Report, only: str = "") -> None:
    """Measure what the verdict promises of other particles, and what the intensity has."""
    named = [("blob", 1), ("blob", 2), ("convex", 1), ("chain", 1), ("chain", 2), ("helix", 1), ("helix", 2)]
    named += [("torus", 1), ("torus", 2), ("dumbbell", 1), ("tetrahedron", 1), ("capsid", 1)]
    files = [SHARED_DATA / "pdb" / f"{name}.pdb" for name in ("1EI7", "1W8X")]
    named += [(str(path), 1) for path in files if path.exists()]
    off, wrong, refused = [], 0, 0
    for name, seed in named:
        if only and only not in name:
            continue
        data = simulate_merge_data(MergeDataPlan(particle=name, hits=1500, photons=500, diameter=20, seed=seed))
        began = time.process_time()
        merged = friedel.merge(data.photons, data.detector, options=OrientOptions(seed=seed))
        spent = time.process_time() - began
        quality, n = merged.quality, len(merged.intensity)
        promised, has = quality.mean_corrected, float(np.nanmean(_on_voxels(merged, data.truth.intensity)))
        off.append(abs(promised - has))
        wrong += quality.verdict == "trust" and has < promised - 0.03
        refused += quality.verdict == "don't trust" and has >= 0.9
        again = "" if quality.mean_recovered is None else f"{quality.mean_recovered:.3f}"
        line = f"{promised:.3f} → {has:.3f} {quality.verdict}"
        report.add(f"{Path(name).stem} {seed}: promised → has", line, bar="0.03 off", met=bool(off[-1] <= 0.03))
        print(
            f"{Path(name).stem} {seed}: {line}; agree {quality.agreement:.3f}, recovered {again}, covered "
            f"{quality.evenness:.3f}, drawn evenly {quality.recovered_evenness:.3f}, grid {n}, {spent:.0f} CPU-s",
            flush=True,
        )
    good = sum(one <= 0.03 for one in off)
    report.add("promised within 0.03 of what it has", f"{good} of {len(off)}", bar="8", met=good >= 8)
    report.add("confidently wrong · usable but refused", f"{wrong} · {refused}", bar="0 · 0", met=not wrong + refused)


def _on_voxels(merged: Merged, truth: NDArray[np.float32]) -> Floats:
    """Return the shells' correlation of a merged intensity, on voxels that may be larger than the truth's."""
    n, m = len(merged.intensity), len(truth)
    axis = torch.arange(n).double() - n // 2
    z, y, x = torch.meshgrid(axis, axis, axis, indexing="ij")
    places = torch.stack([x, y, z], dim=-1) * merged.voxel
    true = torch.where((places.abs() <= m // 2).all(-1), sample(torch.from_numpy(truth), places.float()), torch.nan)
    volume, q_max = torch.from_numpy(merged.intensity), float(merged.quality.q[-1] / merged.voxel)
    known = np.flatnonzero(np.isfinite(merged.quality.halves))
    rotation = align(torch.nan_to_num(true), volume, q_min=max(known[0], 2), q_max=0.95 * q_max)
    return sphere_correlation(torch.nan_to_num(true), volume, rotation, known.astype(float))


_PARTS: dict[str, tuple[Callable[[range, Report], None], int]] = {
    "spoilt": (run_spoilt, 3),
    "density": (run_density, 3),
    "icosahedra": (run_icosahedral, 3),
    "many": (run_many, 1),
}


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="*", default=[], help="of A B C spoilt density icosahedra many particles")
    parser.add_argument("--seeds", type=int, nargs=2, default=None, help="first seed and one beyond the last")
    parser.add_argument("--particle", default="", help="of the particles, those whose name holds this")


def main() -> None:
    """Measure and print."""
    given = arguments(__doc__, more=_more)
    report = Report("merging: orientations and intensity from hits", quick=given.quick)

    def seeds(full: int) -> range:
        return range(*given.seeds) if given.seeds else range(1 if given.quick else full)

    asked = given.only or (["A", "B", "spoilt"] if given.quick else ["A", "B", "C", *_PARTS, "particles"])
    for name, full in (("A", 10), ("B", 10), ("C", 5)):
        if name in asked:
            run(name, seeds(full), report)
    for name, (measure, full) in _PARTS.items():
        if name in asked:
            measure(seeds(full), report)
    if "particles" in asked:
        run_particles(report, given.particle)
    report.finish()


if __name__ == "__main__":
    main()
