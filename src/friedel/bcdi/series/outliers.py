"""Which scans of a series don't fit in, and why: failed, aborted, unlike their neighbours; and which are in doubt."""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from friedel.bcdi.series.together import Together
from friedel.core.series.members import FEWEST, far_from_neighbours

CHECK_FAILED = "a check failed: see its own report"
IN_DOUBT = "a check of its own failed (see its report), but it is like its neighbours, which were phased independently"
FEWER = 0.9
"""A scan with less than this share of the usual frames was aborted."""
_LEAST_SPREAD = {"chi": 0.1, "volume_nm3": 0.05, "voxels": 0.05, "correlation": 0.01, "photons": 0.25}
"""Twice the least standard deviation, relative, that is assumed of each number, however small the scans' scatter is."""
_BETTER = {"chi": -1, "correlation": 1}
"""On which side a number far from its neighbours' is no fault: a better fit, an image more like the reference."""


class Scan(Protocol):
    """What is looked at of a scan (`friedel.bcdi.series.run.SeriesScan`)."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def numbers(self) -> dict[str, float]:
        """Size, frames, photons."""

    @property
    def quality(self) -> dict[str, float | bool | None]:
        """Misfit and verdict."""

    @property
    def failed(self) -> str:
        """Why there is no result."""


def find_outliers(scans: Sequence[Scan], together: Together | None) -> dict[str, str]:
    """Return the scans that don't fit in, in order, with every reason.

    A scan whose own check failed does fit in if it is like its neighbours in everything, its image included: they were
    phased independently of it (`find_doubtful`). Where there is nothing to compare it with, it doesn't.

    Parameters
    ----------
    scans : sequence of Scan
        In order.
    together : Together or None
        Their alignment; None where there is none.
    """
    reasons: dict[str, list[str]] = {scan.name: [] for scan in scans}
    for scan in scans:
        if scan.failed:
            reasons[scan.name].append(f"no result: {scan.failed}")
    made = [scan for scan in scans if not scan.failed]
    frames = np.array([scan.numbers["frames"] for scan in made])
    for scan, n in zip(made, frames, strict=True):
        if n < FEWER * np.median(frames):
            reasons[scan.name].append(f"{n:.0f} frames where the others have {np.median(frames):.0f}: aborted?")
    # Voxels are each result's own, of no common size.
    size = "volume_nm3" if all("volume_nm3" in scan.numbers for scan in made) else "voxels"
    values = {
        "chi": np.array([scan.quality.get("chi") or np.nan for scan in made], dtype=float),
        size: np.array([scan.numbers[size] for scan in made]),
        "photons": np.array([scan.numbers["photons"] for scan in made]),
    }
    if together is not None:
        # The reference is 1 by itself, which says nothing of it.
        others = np.array([name != together.reference for name in together.names])
        values["correlation"] = np.where(others, together.correlations, np.nan)
    for name, found in values.items():
        for k, usual in far_from_neighbours(found, least=_LEAST_SPREAD[name]).items():
            if _BETTER.get(name, 0) * (found[k] - usual) > 0:
                continue
            words = name.replace("_nm3", " (nm³)")
            reasons[made[k].name].append(f"{words} {found[k]:.3g} where its neighbours have {usual:.3g}")
    compared = together is not None and len(made) >= FEWEST
    for scan in made:
        if scan.quality.get("trusted") is False and (reasons[scan.name] or not compared):
            reasons[scan.name].insert(0, CHECK_FAILED)
    return {name: "; ".join(why) for name, why in reasons.items() if why}


def find_doubtful(scans: Sequence[Scan], outliers: Mapping[str, str]) -> dict[str, str]:
    """Return the scans that are like their neighbours although a check of their own failed, in order, with the reason.

    Parameters
    ----------
    scans : sequence of Scan
        In order.
    outliers : mapping of str to str
        From `find_outliers`.
    """
    return {s.name: IN_DOUBT for s in scans if s.quality.get("trusted") is False and s.name not in outliers}
