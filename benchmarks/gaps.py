"""Detector gaps: how much the phase error grows when real gaps hide voxels near the peak.

Bar: at most 20 %, median over crystals, with about 4 % of the voxels unknown. A window of a real detector's mask hides
its gaps and bad pixels in every frame of a simulated scan; each crystal is phased with and without. cohere, to which a
gap is a measured zero, stands beside.
"""

import argparse

import numpy as np
import peer
from crystals import GENERATORS, against_truth, crystal, measure
from numpy.typing import NDArray
from report import SHARED_DATA, Report, arguments, spread
from scipy.ndimage import uniform_filter

import friedel
from friedel.bcdi.forward.bragg import gap_mask

MAX_GROWTH, SHARE = 0.2, 0.04
MASKS = ("id01_maxipix_mask", "nanomax_merlin_mask")
THRESHOLD = 0.2
# A gap through the brightest pixels is avoided at the beamline by moving the detector; next to the peak it often can't.
_NEAREST, _FARTHEST = 3, 10


def known_pixels(n: int) -> dict[str, NDArray[np.bool_]]:
    """Return detector windows ``(n, n)``, True where measured, by detector; a made-up cross without the real masks."""
    folder = SHARED_DATA / "detector_masks"
    if not folder.is_dir():
        print(f"no real masks in {folder.name}/: a made-up cross of gaps takes their place")
        width, at = max(1, round(n * SHARE / 2)), n // 2 + _NEAREST + 1
        return {"cross": gap_mask((n, n), rows=(at, at + width), columns=(at + 2, at + 2 + width))}
    return {name: best_window(np.load(folder / f"{name}.npy") == 0, n) for name in MASKS}


def best_window(known: NDArray[np.bool_], n: int) -> NDArray[np.bool_]:
    """Return the window of a detector that hides nearest to 4 %, its nearest bad pixel close by the centre."""
    best, found = np.inf, known[:n, :n]
    hidden = uniform_filter((~known).astype(float), size=n, mode="constant")
    for y, x in np.argwhere(np.abs(hidden - SHARE) < 0.01):
        window = known[y - n // 2 : y - n // 2 + n, x - n // 2 : x - n // 2 + n]
        if window.shape != (n, n) or not _near_the_peak(window):
            continue
        off = abs((~window).mean() - SHARE)
        if off < best:
            best, found = off, window
    return found


def _near_the_peak(window: NDArray[np.bool_]) -> bool:
    rows, columns = np.nonzero(~window)
    distance = np.hypot(rows - len(window) // 2, columns - len(window) // 2).min(initial=np.inf)
    return bool(_NEAREST < distance <= _FARTHEST)


def errors(n: int, seeds: range, n_photons: float, *, with_peer: bool) -> dict[str, list[float]]:
    """Return phase errors, radians, by program and detector; "none" is without gaps."""
    windows = known_pixels(n)
    masks = {"none": np.ones((n, n), dtype=bool), **windows}
    found: dict[str, list[float]] = {}
    for seed in seeds:
        for generator in GENERATORS:
            truth = crystal(generator, (n, n, n), seed=seed)
            for name, pixels in masks.items():
                mask = np.broadcast_to(pixels, (n, n, n)).copy()
                pattern = measure(truth, n_photons=n_photons, seed=seed, mask=mask)
                ours = friedel.reconstruct(pattern.intensities, mask=~pattern.mask, seed=seed)
                found.setdefault(f"friedel {name}", []).append(against_truth(ours.object, truth)[1])
                if with_peer:
                    theirs = peer.phase(pattern, threshold=THRESHOLD, seed=seed)
                    found.setdefault(f"cohere {name}", []).append(against_truth(theirs.object, truth)[1])
    for name, pixels in windows.items():
        print(f"  {name}: {(~pixels).mean():.1%} of voxels unknown")
    return found


def add_lines(report: Report, found: dict[str, list[float]], n: int) -> None:
    """Add the median errors and their growth."""
    bare = np.array(found["friedel none"])
    beside = np.array(found.get("cohere none", []))
    report.add(f"{n}³, no gaps: phase error, rad", spread(list(bare)), peer=spread(list(beside)))
    for key, values in found.items():
        program, name = key.split(" ", 1)
        if program != "friedel" or name == "none":
            continue
        theirs = found.get(f"cohere {name}", [])
        report.add(f"{n}³, {name}: phase error, rad", spread(values), peer=spread(theirs))
        growth = _growth(values, bare)
        report.add(
            f"{n}³, {name}: growth crystal by crystal, median",
            f"{growth:+.1%}",
            bar=f"<= {MAX_GROWTH:+.0%}",
            peer=f"{_growth(theirs, beside):+.1%}" if theirs else "",
            met=growth <= MAX_GROWTH,
        )


def _growth(with_gaps: list[float], without: NDArray[np.floating]) -> float:
    return float(np.median(np.asarray(with_gaps) / without)) - 1.0


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--crystals", type=int, default=6, help="of each generator")
    parser.add_argument("--first", type=int, default=300, help="seed of the first crystal")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64])
    parser.add_argument("--photons", type=float, default=1e7)


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    sizes, count = ([32], 1) if given.quick else (given.sizes, given.crystals)
    report = Report("gaps: phase error with voxels hidden", given.quick)
    with_peer = peer.available()
    for n in sizes:
        seeds = range(given.first, given.first + count)
        add_lines(report, errors(n, seeds, given.photons, with_peer=with_peer), n)
    report.note(f"{2 * count} crystals, {given.photons:.0e} photons. peer: cohere at threshold {THRESHOLD}, gaps zero.")
    report.finish()


if __name__ == "__main__":
    main()
