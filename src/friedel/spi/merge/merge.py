"""`friedel merge`: from files of photons to a merged intensity, a report and, if wanted, a density."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from friedel.core.errors import InputError, PlanError
from friedel.core.files.atomic import replacing
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.machine.team import working_together
from friedel.core.observer import Note, Observer, Recorder, Warned, silent, tee
from friedel.spi.density.compare import compare, read_reference
from friedel.spi.density.phase import Density, PhaseOptions
from friedel.spi.frames.dragonfly import DragonflyDetector, read_photons
from friedel.spi.merge.checkpoints import Checkpoints, digest
from friedel.spi.merge.files import (
    write_csv,
    write_cxi,
    write_kinds,
    write_map,
    write_still,
    write_summary,
    write_volume,
)
from friedel.spi.merge.inputs import detector_for, read_masks
from friedel.spi.merge.kinds import sort_frames
from friedel.spi.merge.measured import Measured, masked, of_several, unmasked
from friedel.spi.merge.merged import Merged, MergeRun, quaternions
from friedel.spi.merge.plan import MergePlan
from friedel.spi.merge.report import write_merge_report
from friedel.spi.orient.quality import DOUBTED, EVEN, SURE
from friedel.spi.orient.rings import Pixels
from friedel.spi.orient.solve import Oriented, OrientOptions, orient
from friedel.spi.orient.speckle import survey
from friedel.spi.orient.views import symmetry_group
from friedel.spi.orient.volume import radii

FINEST_SPECKLE = 10.0
"""Voxels a speckle may have before voxels are made larger: more cost time and memory and show nothing."""
_LEAST_REACH = 16.0
"""Voxels from the centre to the detector's edge that stay, however large the speckles are."""
_NEARLY = 0.03
"""Detector files in voxels have a step of one, but for the Ewald sphere's slope."""


def merge(
    frames: ArrayLike | sp.csr_matrix | Sequence[Any],
    detector: DragonflyDetector | Sequence[DragonflyDetector],
    *,
    masks: ArrayLike | sp.csr_matrix | Sequence[Any] | None = None,
    options: OrientOptions | None = None,
    blanks: ArrayLike | sp.csr_matrix | None = None,
    checkpoints: Path | None = None,
    observer: Observer = silent,
) -> Merged:
    """Orient frames of photons and merge them.

    Processes that torchrun started share the work, each given all frames, and all return the same.

    Parameters
    ----------
    frames : (n_frames, n_pixels) sparse or dense, or (n_frames, y, x)
        Photons; a sequence of such arrays if there are several detectors.
    detector : DragonflyDetector, or several
        Where the pixels lie; several, one for each array of frames, with q in one unit.
    masks : as ``frames``, optional
        Anything but 0 where a pixel wasn't measured in a frame, beside what the detector's mask says of all frames.
    options : OrientOptions
        Symmetry, starts, seed.
    blanks : as ``frames``, optional
        Frames of the same run without a particle: their radial mean is the background, whose scale is fitted to each
        frame. Without them a background without structure stays in the intensity and lowers its contrast.
    checkpoints : Path, optional
        Folder of its own in which each stage is kept; a merge that was killed goes on from there. Removed at the end.
    observer : Observer
        Told the progress, notes and warnings.

    Raises
    ------
    InputError
        If frames and detector don't fit, values aren't photons, or too few frames have any.
    FriedelError
        If another process that shares the work has ended.
    """
    keep_freed_memory()
    recorder = Recorder()
    options = options or OrientOptions()
    measured, detectors = _measured(frames, detector, masks, tee(recorder, observer))
    photons, mask = measured.photons, None if measured.alike else measured.mask
    if blanks is not None and len(detectors) > 1:
        raise InputError("blanks of several detectors can't be told apart; merge without them")
    pixels, voxel = sampled_pixels(
        photons, *detectors, diameter=options.diameter or 0.0, mask=mask, good=None if measured.alike else measured.good
    )
    if options.diameter is not None:
        options = replace(options, diameter=options.diameter * voxel)
    blank = None if blanks is None else np.asarray(_as_photons(blanks).mean(axis=0), np.float64).ravel()
    kept = None if checkpoints is None else Checkpoints(checkpoints / digest(photons, pixels, options, blank, mask))
    oriented = orient(photons, pixels, options, mask=mask, blank=blank, memory=kept, observer=tee(recorder, observer))
    if kept is not None:
        kept.forget()
    quality = replace(oriented.quality, q=oriented.quality.q * voxel, q_resolved=oriented.quality.q_resolved * voxel)
    merged = Merged(
        intensity=oriented.intensity,
        exposure=oriented.exposure * _reached(oriented.intensity.shape[0], pixels),
        voxel=voxel,
        orientations=quaternions(oriented.rotations),
        fluence=oriented.fluence,
        likelihood=oriented.log_likelihood,
        fit=oriented.fit,
        surprise=oriented.surprise,
        uncertainty=oriented.uncertainty,
        used=oriented.used,
        halves=oriented.halves,
        quality=quality,
        resampled=oriented.resampled,
        **_errors(oriented),
    )
    for warning in doubts(merged, photons, options.symmetry):
        tee(recorder, observer)(Warned("verdict", warning))
    return replace(merged, notes=recorder.notes)


def _errors(oriented: Oriented) -> dict[str, Any]:
    """Return `Merged.error`, ``profile`` and ``profile_error``; NaN where there are no draws to tell."""
    draws, n_shells = oriented.resampled, len(oriented.quality.q)
    shell = radii(oriented.intensity.shape[0]).round().numpy().astype(int).ravel()
    inside = shell < n_shells
    count = np.bincount(shell[inside], minlength=n_shells)

    def profile(volume: NDArray[np.float32]) -> NDArray[np.float32]:
        return (np.bincount(shell[inside], volume.ravel()[inside], n_shells) / count).astype(np.float32)

    own = profile(oriented.intensity)
    if len(draws) < 2:
        return {"error": np.full_like(oriented.intensity, np.nan), "profile": own, "profile_error": own * np.nan}
    return {
        "error": draws.std(0, ddof=1),
        "profile": own,
        "profile_error": np.stack([profile(one) for one in draws]).std(0, ddof=1),
    }


def _as_sparse(frames: ArrayLike | sp.csr_matrix) -> sp.csr_matrix:
    if not sp.issparse(frames):
        dense = np.asarray(frames)
        frames = sp.csr_matrix(dense.reshape(len(dense), -1).astype(np.float32))
    return sp.csr_matrix(frames, dtype=np.float32)


def _as_photons(frames: ArrayLike | sp.csr_matrix) -> sp.csr_matrix:
    photons = _as_sparse(frames)
    if not np.isfinite(photons.data).all() or (photons.data < 0).any():
        raise InputError(
            "frames with values that are negative or not finite; give photons, 0 where nothing was measured"
        )
    return photons


def _measured(
    frames: Any, detector: DragonflyDetector | Sequence[DragonflyDetector], masks: Any, observer: Observer
) -> tuple[Measured, list[DragonflyDetector]]:
    """Return all frames with their masks, as of one detector, and the detectors."""
    several = not isinstance(detector, DragonflyDetector)
    detectors = list(detector) if isinstance(detector, Sequence) else [detector]
    parts = list(frames) if several else [frames]
    hidden = [None] * len(parts) if masks is None else list(masks) if several else [masks]
    if len(hidden) != len(parts):
        raise InputError(f"{len(parts)} sets of frames and {len(hidden)} of masks: give one a set")
    sets = []
    for part, bad in zip(parts, hidden, strict=True):
        photons = _as_photons(part)
        sets.append(unmasked(photons) if bad is None else masked(photons, _as_sparse(bad), observer=observer))
    return (sets[0] if not several else of_several(sets, detectors)[0]), detectors


def _pixels(detectors: Sequence[DragonflyDetector]) -> tuple[Pixels, float]:
    """Return all detectors' pixels in voxels, and a voxel's edge: the smallest pixel's, at the detector's centre."""
    used = [(detector.mask == 0) & (detector.correction > 0) for detector in detectors]
    for one in used:
        if one.sum() < 50:
            raise InputError(f"the detector has {int(one.sum())} good pixels; its mask must be 0 where pixels are good")
    voxel = min(_pixel_step(detector.q[one]) for detector, one in zip(detectors, used, strict=True))
    weight = np.concatenate([detector.correction * one for detector, one in zip(detectors, used, strict=True)])
    q = np.concatenate([detector.q for detector in detectors])
    return Pixels(q=q / voxel, weight=weight / weight[weight > 0].mean()), voxel


def sampled_pixels(
    photons: sp.csr_matrix,
    *detectors: DragonflyDetector,
    diameter: float = 0.0,
    mask: NDArray[np.int64] | None = None,
    good: NDArray[np.bool_] | None = None,
) -> tuple[Pixels, float]:
    """Return detectors' pixels in voxels, and a voxel's edge in the unit of the detectors' q.

    A voxel is as large as a pixel at the detector's centre, or larger where speckles have far more of them than
    interpolation needs.

    Parameters
    ----------
    photons : (n_frames, n_pixels) csr_matrix
        Frames, which show the size of the speckles.
    *detectors : DragonflyDetector
        Where the pixels lie.
    diameter : float
        Of the particle, in inverse units of q, if it is known.
    mask : (n_frames,) int, optional
        Which mask each frame has.
    good : (n_masks, n_pixels) bool, optional
        Which pixels each mask leaves.

    Raises
    ------
    InputError
        If hardly a pixel is good, or several lie at one place.
    """
    pixels, voxel = _pixels(detectors)
    pixels = replace(pixels, good=good)
    if photons.shape[1] != len(pixels.weight):
        return pixels, voxel  # `orient` says what is wrong
    speckle = survey(photons, pixels, mask=mask)
    reach = float(np.linalg.norm(pixels.q[pixels.used], axis=1).max())
    factor = min(1 / (max(speckle.finest, diameter * voxel) * FINEST_SPECKLE), reach / _LEAST_REACH)
    if factor <= 1 or not speckle.seen:
        return pixels, voxel
    return replace(pixels, q=pixels.q / factor), voxel * factor


def _pixel_step(q: NDArray[np.float64]) -> float:
    """Return the median distance in q of innermost pixels to their nearest neighbours."""
    inner = q[np.argsort(np.linalg.norm(q, axis=1))[:400]]
    step = float(np.median(cKDTree(inner).query(inner, k=2)[0][:, 1]))
    if not step > 0:
        raise InputError("several pixels of the detector lie at the same q; is this the detector of these frames?")
    return 1.0 if abs(step - 1) < _NEARLY else float(f"{step:.6g}")


def _reached(n: int, pixels: Pixels) -> NDArray[np.bool_]:
    radius, q = radii(n).numpy(), np.linalg.norm(pixels.q[pixels.used], axis=1)
    return (radius >= q.min() - 0.5) & (radius <= q.max() + 0.5)


def doubts(merged: Merged, photons: sp.csr_matrix, symmetry: str) -> list[str]:
    """Return, in words, what speaks against a result that was made under a symmetry."""
    found, quality = [], merged.quality
    if quality.preferring:
        found.append(
            f"hits lie on {quality.evenness:.0%} of all view directions; frames drawn evenly from the result are "
            "oriented evenly, so that the particles seem to lie in preferred directions in truth; where none lie "
            "the intensity is known less well"
        )
    elif quality.evenness < EVEN:
        found.append(
            f"hits crowd on {quality.evenness:.0%} of all view directions: the particle has views that look nearly "
            "alike, and frames choose among them; away from these directions the intensity has too little structure, "
            f"and halves agree on that. {_what_helps(symmetry)} Or the particles do lie in preferred directions, which "
            "can't be told here"
        )
    if quality.agreement >= DOUBTED and quality.mean_corrected < SURE and quality.mean_recovered is not None:
        found.append(
            f"frames drawn from the result and oriented from nothing give it back at {quality.mean_recovered:.2f}: "
            "views look too much alike at this number of photons, and both halves make the same mistakes; "
            f"{quality.mean_corrected:.2f} is expected with the truth. Brighter frames tell views apart"
        )
    if quality.agreement < DOUBTED:
        found.append(
            f"don't trust this intensity: its halves, oriented independently, agree at {quality.mean_halves:.2f}, "
            f"{quality.agreement:.2f} beyond chance (below {DOUBTED}). "
            f"Too few photons, a wrong centre or distance, or particles that differ: "
            f"{photons.shape[0]} frames have {photons.sum() / photons.shape[0]:.0f} photons each; try four times the "
            "frames, or check the detector file's geometry"
        )
    share = len(merged.outliers) / max(len(merged.used), 1)
    if share > 0.02:
        found.append(f"{len(merged.outliers)} frames ({share:.0%}) fit no orientation; frames.csv names them")
    return found


def _what_helps(symmetry: str) -> str:
    if len(symmetry_group(symmetry)) > 1:
        return "Brighter frames tell views apart."
    return "If the particle is symmetric, impose its symmetry; brighter frames tell views apart, too."


def run_merge(plan: MergePlan, folder: Path | None = None, *, observer: Observer = silent) -> MergeRun:
    """Run a merge and leave its files; of several processes that torchrun started, the first does.

    Parameters
    ----------
    plan : MergePlan
        What to read and how.
    folder : Path, optional
        Where to; None: the plan's ``output``.
    observer : Observer
        Told the progress, notes and warnings.

    Raises
    ------
    PlanError
        If frames, detector or folder aren't named.
    InputError
        If the files can't be used.
    """
    target = plan.folder_for(folder)
    if plan.test_symmetry and len(symmetry_group(plan.symmetry)) > 1:
        raise PlanError(
            f"an intensity made under {plan.symmetry} has it by force; test the symmetry without imposing it"
        )
    if not plan.frames:
        raise PlanError(
            "name the frames (FILE.emc) and their detector: friedel merge FILE.emc --detector DET.h5 -o DIR"
        )
    frames, detector, masks = _read_measured(plan)
    target.mkdir(parents=True, exist_ok=True)
    if plan.models == 1 and not plan.non_rotating:
        return _leave(plan, target, frames, detector, masks, observer)
    if isinstance(frames, list) or plan.blanks:
        raise PlanError(
            "several particles, or what doesn't turn, are told apart in frames of one detector and without blanks"
        )
    return _leave_each(plan, target, frames, detector, masks, observer)


def _leave_each(plan: MergePlan, target: Path, frames: Any, detector: Any, masks: Any, observer: Observer) -> MergeRun:
    """Tell particles apart, merge each, and leave its files in a folder of its own."""
    measured, detectors = _measured(frames, detector, masks, observer)
    known: dict[str, Any] = {} if measured.alike else {"mask": measured.mask, "good": measured.good}
    pixels, voxel = sampled_pixels(measured.photons, *detectors, diameter=plan.diameter or 0.0, **known)
    kinds = sort_frames(
        measured.photons,
        pixels,
        plan.models,
        OrientOptions(
            seed=plan.seed,
            engine=plan.engine,
            diameter=None if plan.diameter is None else plan.diameter * voxel,
        ),
        n_still=plan.non_rotating,
        mask=None if measured.alike else measured.mask,
        observer=observer,
    )
    write_kinds(target / "kinds.csv", kinds.share, kinds.kind)
    files = {"kinds": target / "kinds.csv"}
    if plan.non_rotating:
        files["still"] = target / "still.h5"
        write_still(files["still"], kinds)
    runs = []
    for number in range(plan.models):
        ours = np.flatnonzero(kinds.kind == number)
        place = target / f"particle_{number + 1}"
        try:
            place.mkdir(parents=True, exist_ok=True)
            part = None if masks is None else masks[ours]
            done = _leave(plan, place, frames[ours], detector, part, observer)
        except InputError as error:
            observer(Warned("kinds", f"particle {number + 1} of {plan.models} isn't merged: {error}"))
            continue
        runs.append(replace(done, files={f"{number + 1}: {name}": path for name, path in done.files.items()}))
    if not runs:
        raise InputError(
            f"none of {plan.models} particles has frames enough for a merge; kinds.csv says which has which"
        )
    files |= {name: path for one in runs for name, path in one.files.items()}
    return replace(runs[0], others=runs[1:], files=files)


def _leave(plan: MergePlan, target: Path, frames: Any, detector: Any, masks: Any, observer: Observer) -> MergeRun:
    """Merge frames of one particle and leave its files in a folder.

    Parameters
    ----------
    plan : MergePlan
        How.
    target : Path
        The folder.
    frames, detector, masks
        As `merge` takes them.
    observer : Observer
        Told the progress, notes and warnings.
    """
    options = OrientOptions(
        symmetry=plan.symmetry,
        starts=plan.starts,
        name_outliers=plan.name_outliers,
        diameter=plan.diameter,
        bootstrap=plan.bootstrap,
        sentinels=plan.sentinels,
        engine=plan.engine,
        refine=plan.refine,
        seed=plan.seed,
    )
    blanks = _read_all(plan.blanks) if plan.blanks else None
    kept = target / "checkpoints"
    with working_together() as team:
        observer = observer if team.rank == 0 else silent
        merged = merge(
            frames, detector, masks=masks, options=options, blanks=blanks, checkpoints=kept, observer=observer
        )
    if team.rank:
        return MergeRun(merged=merged)
    files = {"merged": target / "merged.h5", "frames": target / "frames.csv", "plan": target / "plan.yaml"}
    merged.save(files["merged"])
    photons = [np.asarray(part.sum(1)).ravel() for part in (frames if isinstance(frames, list) else [frames])]
    write_csv(files["frames"], merged, np.concatenate(photons))
    symmetries = merged.symmetries() if plan.test_symmetry else []
    for one in symmetries:
        observer(Note("symmetry", one.sentence))
    density = _density(plan, merged, target, files, observer)
    comparison = None
    if density is not None and plan.compare is not None:
        reference = read_reference(plan.compare, angstrom=plan.compare_angstrom)
        comparison = compare(density, *reference)
        observer(Note("compare", comparison.sentence))
    files |= {"summary": target / "summary.json", "report": target / "report.html"}
    run = MergeRun(merged=merged, density=density, comparison=comparison, symmetries=symmetries, files=files)
    write_summary(files["summary"], run)
    write_merge_report(files["report"], plan, run)
    with replacing(files["plan"]) as unfinished:
        unfinished.write_text(plan.text(), encoding="utf-8")
    return run


def _read_measured(
    plan: MergePlan,
) -> tuple[Any, DragonflyDetector | list[DragonflyDetector], Any]:
    """Return frames, detector and masks; lists of them, one a file, if files have detectors of their own."""
    asked: dict[str, Any] = {"distance": plan.distance, "polarisation": plan.polarisation}
    if plan.masks and len(plan.masks) != len(plan.frames):
        raise PlanError(f"{len(plan.masks)} files of masks for {len(plan.frames)} of frames; give one a file")
    hidden = [read_masks(path) for path in plan.masks] or None
    if len(plan.detectors) > 1:
        if len(plan.detectors) != len(plan.frames):
            raise PlanError(
                f"{len(plan.detectors)} detectors for {len(plan.frames)} files of frames; give one, or one a file"
            )
        pairs = zip(plan.frames, plan.detectors, strict=True)
        return (
            [read_photons(path) for path in plan.frames],
            [detector_for(path, detector, **asked) for path, detector in pairs],
            hidden,
        )
    only = plan.detectors[0] if plan.detectors else plan.detector
    frames = _read_all(plan.frames)
    detector = detector_for(plan.frames[0], only, **asked)
    return frames, detector, None if hidden is None else sp.csr_matrix(sp.vstack(hidden))


def _read_all(paths: Sequence[Path]) -> sp.csr_matrix:
    parts = [read_photons(path) for path in paths]
    sizes = {part.shape[1] for part in parts}
    if len(sizes) > 1:
        raise InputError(f"the files' frames have different numbers of pixels: {sorted(sizes)}")
    return sp.csr_matrix(sp.vstack(parts))


def _density(
    plan: MergePlan, merged: Merged, target: Path, files: dict[str, Path], observer: Observer
) -> Density | None:
    if not plan.density.write:
        return None
    options = PhaseOptions(starts=plan.density.starts, positive=plan.density.positive, seed=plan.seed)
    try:
        density = merged.phase(options, diameter=plan.diameter, observer=observer)
    except InputError as error:
        observer(Warned("density", f"no density: {error}"))
        return None
    files |= {name: target / f"density.{end}" for name, end in (("density", "mrc"), ("volume", "vti"), ("cxi", "cxi"))}
    write_map(files["density"], density)
    write_volume(files["volume"], density)
    write_cxi(files["cxi"], density)
    return density
