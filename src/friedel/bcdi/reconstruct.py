"""From intensities to a reconstruction with its quality and its history: what `friedel.reconstruct` runs."""

import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from friedel._version import __version__
from friedel.bcdi.phasing import Solution, solve
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.prepare.arrays import as_diffraction
from friedel.bcdi.prepare.counts import require_structure
from friedel.bcdi.records import Diffraction, Provenance, Reconstruction, Uncertainty
from friedel.bcdi.strain.surface import find_isosurface
from friedel.bcdi.uncertainty import Solved, estimate_uncertainty, with_error_bars
from friedel.core.files.masks import Marks
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.observer import Observer, Recorder, silent, tee

# Steps that differ by less than this share scale a crystal of 30 voxels by less than a third of a voxel.
_SAME_STEPS = 0.01
_LIBRARIES = ("numpy", "scipy", "torch", "scikit-image")


def reconstruct(
    intensities: ArrayLike | Diffraction,
    *,
    mask: ArrayLike | None = None,
    mask_marks: Marks | None = None,
    plan: PhasingOptions | Mapping[str, Any] | str | Path | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    observer: Observer | None = None,
) -> Reconstruction:
    """Reconstruct the object behind a 3D coherent diffraction pattern.

    Parameters
    ----------
    intensities : (z, y, x) array, photons, or Diffraction
        The pattern around one Bragg peak; NaN where unknown. A numpy masked array's mask counts, too. A `Diffraction`,
        from `friedel.prepare`, brings its geometry and its own mask.
    mask : (z, y, x) or (y, x), bool or numbers, optional
        Non-zero is bad, as in CXI, NeXus and numpy.ma. Unknown voxels stay free through phasing; they are never taken
        as dark.
    mask_marks : {"bad", "good"}, optional
        What non-zero in the mask means; None: bad, and a mask that hides the peak or leaves less than a third is asked
        about, unless the data leave no doubt that it marks the good ones.
    plan : PhasingOptions, mapping, path of a plan file, or None
        How to phase; None takes the defaults, which suit all patterns. Of a plan file the `phasing` section counts.
    seed : int
        Seed of every random choice.
    device : str or torch.device, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : callable, optional
        Told of progress and decisions (`friedel.core.observer`).

    Returns
    -------
    Reconstruction
        With `.object`, `.support`, `.quality` and `.save(path)`; conventions in docs/conventions.md.

    Raises
    ------
    InputError
        If the intensities can't be used: wrong dimension, too small, infinite, nothing measured.
    PlanError
        If the plan doesn't make sense.
    """
    watching = observer or silent
    recorder = Recorder()
    diffraction = as_diffraction(intensities, mask, mask_marks=mask_marks, observer=tee(watching, recorder))
    result = reconstruct_diffraction(diffraction, phasing_options(plan), seed=seed, device=device, observer=watching)
    notes = (*recorder.notes, *result.provenance.notes)
    return replace(result, provenance=replace(result.provenance, notes=notes))


def reconstruct_diffraction(
    diffraction: Diffraction,
    options: PhasingOptions | None = None,
    *,
    start: NDArray[np.complexfloating] | None = None,
    neighbour: Reconstruction | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    observer: Observer = silent,
) -> Reconstruction:
    """Reconstruct from a prepared pattern.

    Parameters
    ----------
    diffraction : Diffraction
        Prepared intensities, mask and geometry.
    start : (z, y, x) complex, optional
        An object to refine, in place of random starts.
    neighbour : Reconstruction, optional
        The same crystal in another scan of a series: begun from, where a start that knows nothing of it comes to the
        same and the field of view is the same (`friedel.bcdi.phasing.neighbour`).
    options, seed, device, observer
        As for `reconstruct`.

    Raises
    ------
    InputError
        If neighbouring pixels have no more in common than noise has.
    """
    require_structure(diffraction)
    keep_freed_memory()
    options = options or PhasingOptions()
    recorder, started, clock = Recorder(), datetime.now(UTC), time.perf_counter()
    watching = tee(observer, recorder)
    near = None if neighbour is None or not _seen_alike(diffraction, neighbour) else neighbour.object
    solution = solve(diffraction, options, start=start, neighbour=near, seed=seed, device=device, observer=watching)
    surface = find_isosurface(np.abs(solution.object), solution.support)
    quality = replace(solution.quality.counting(diffraction.warnings), isosurface_level=surface.level)
    uncertainty = _error_bars(solution.pattern, options, solution, seed=seed, device=device)
    if uncertainty is not None:
        quality = with_error_bars(quality, uncertainty, watching)
    provenance = Provenance(
        plan={"phasing": options.model_dump(mode="json")},
        seed=seed,
        versions=library_versions(),
        source=diffraction.name,
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=recorder.notes,
        read=diffraction.read,
    )
    return Reconstruction(
        object=solution.object,
        support=solution.support,
        quality=quality,
        provenance=provenance,
        grid=diffraction.grid,
        starts=solution.starts,
        uncertainty=uncertainty,
    )


def _seen_alike(diffraction: Diffraction, neighbour: Reconstruction) -> bool:
    """Say whether two measurements have the same steps in reciprocal space, and so the same field of view."""
    if diffraction.grid is None or neighbour.grid is None:
        return False
    steps, others = diffraction.grid.basis, neighbour.grid.basis
    apart = np.linalg.norm(steps - others, axis=1)
    return bool((apart <= _SAME_STEPS * np.linalg.norm(steps, axis=1)).all())


def _error_bars(
    diffraction: Diffraction,
    options: PhasingOptions,
    solution: Solution,
    *,
    seed: int,
    device: str | torch.device | None,
) -> Uncertainty | None:
    if options.error_bars == "none":
        return None
    solved = Solved(
        object=solution.object,
        support=solution.support,
        threshold=solution.quality.support_threshold,
        others=solution.alternatives,
        blur=solution.blur,
        density_spread=options.low_dose_density_spread,
    )
    return estimate_uncertainty(diffraction, solved, kind=options.error_bars, seed=seed, device=device)


def phasing_options(plan: PhasingOptions | Mapping[str, Any] | str | Path | None) -> PhasingOptions:
    """Return the phasing options that any kind of plan stands for.

    Raises
    ------
    PlanError
        If a key is unknown, a value wrong or the file not a plan.
    """
    if plan is None or isinstance(plan, PhasingOptions):
        return plan or PhasingOptions()
    if isinstance(plan, str | Path):
        # The reader of plan files knows every room's section; arrays in memory don't need it.
        from friedel.bcdi.plan import ReconstructionPlan

        return ReconstructionPlan.load(Path(plan)).phasing
    return PhasingOptions.read(plan)


def library_versions() -> dict[str, str]:
    """Return the versions that a result's provenance names."""
    return dict(_installed())


@lru_cache(maxsize=1)
def _installed() -> dict[str, str]:
    found = {"friedel": __version__, "python": platform.python_version()}
    return found | {name: version(name) for name in _LIBRARIES}
