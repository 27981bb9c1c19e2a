"""The main job: a plan in, a folder of results out. Calls reader, preparation, phasing and analysis in this order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.reconstruct import reconstruct_diffraction
from friedel.bcdi.records import BraggScan, CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.result_files import write_results
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.strain.analysis import analyse
from friedel.core.errors import PlanError
from friedel.core.files.atomic import appearing
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.observer import Observer, Progress, Recorder, silent, tee

Comparison: TypeAlias = Callable[[Reconstruction, CrystalImage], Mapping[str, float]]


@dataclass(frozen=True, eq=False, kw_only=True)
class RunResult:
    """What a run leaves behind.

    Attributes
    ----------
    reconstruction : Reconstruction
        The object with its quality and provenance; the notes hold every step from reading to strain.
    crystal : CrystalImage
        The object on a regular grid, with displacement and strain where the geometry is known.
    diffraction : Diffraction
        The prepared pattern.
    files : mapping of str to Path
        The files written, by what they are for.
    truth : mapping of str to float
        Figures against a known truth; empty if there is none.
    """

    reconstruction: Reconstruction
    crystal: CrystalImage
    diffraction: Diffraction
    files: Mapping[str, Path]
    truth: Mapping[str, float] = field(default_factory=dict)


def run_reconstruction(
    plan: ReconstructionPlan,
    output: Path | None = None,
    *,
    device: str | None = None,
    observer: Observer = silent,
    compare: Comparison | None = None,
) -> RunResult:
    """Read, prepare, phase and analyse one measurement, and leave the results in a folder.

    Parameters
    ----------
    plan : ReconstructionPlan
        What to read and how to treat it.
    output : Path, optional
        Folder for the results; None takes the plan's. Files of an earlier result are replaced once the new ones are
        complete; other files in it are left alone.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress and what each step did.
    compare : function, optional
        Figures against a known truth, from the reconstruction and the crystal; shown in the report.

    Raises
    ------
    PlanError
        If the plan names no input or no folder is given.
    InputError
        If the data can't be used or the results can't be written; nothing half-written is left.
    """
    source = plan.scan
    if source is None:
        raise PlanError("the plan has no 'scan' section, so there is nothing to read; give it a path")

    def read(tell: Observer) -> BraggScan:
        return read_scan(source, observer=tell)

    return _run(read, plan, output, device=device, observer=observer, compare=compare)


def run_scan(
    scan: BraggScan,
    plan: ReconstructionPlan,
    output: Path | None = None,
    *,
    neighbour: Reconstruction | None = None,
    device: str | None = None,
    observer: Observer = silent,
) -> RunResult:
    """Do the same with a raw scan in memory: the plan's ``scan`` section isn't read.

    Parameters
    ----------
    scan : BraggScan
        As recorded.
    neighbour : Reconstruction, optional
        The crystal in another scan of a series, as for `friedel.bcdi.reconstruct.reconstruct_diffraction`.
    plan, output, device, observer
        As for `run_reconstruction`.

    Raises
    ------
    PlanError, InputError
        As `run_reconstruction`.
    """
    return _run(lambda tell: scan, plan, output, neighbour=neighbour, device=device, observer=observer, compare=None)


def _run(
    read: Callable[[Observer], BraggScan],
    plan: ReconstructionPlan,
    output: Path | None,
    *,
    device: str | None,
    observer: Observer,
    compare: Comparison | None,
    neighbour: Reconstruction | None = None,
) -> RunResult:
    folder = plan.folder_for(output)
    keep_freed_memory()
    recorder = Recorder()
    tell = tee(recorder, observer)
    with appearing(folder) as unfinished:
        scan = read(tell)
        diffraction = prepare(scan, plan.prepare, observer=tell)
        phased = reconstruct_diffraction(
            diffraction, plan.phasing, neighbour=neighbour, seed=plan.seed, device=device, observer=tell
        )
        crystal = analyse(phased, plan.strain, observer=tell)
        reconstruction = _remembering(phased, plan, recorder, crystal.isosurface_level)
        truth = compare(reconstruction, crystal) if compare else {}
        observer(Progress("writing results", 0, 1))
        files = write_results(
            unfinished,
            plan,
            reconstruction,
            crystal,
            diffraction,
            truth=truth,
            conditions=scan.readings,
            observer=observer,
        )
        observer(Progress("writing results", 1, 1))
    placed = {name: folder / path.name for name, path in files.items()}
    return RunResult(reconstruction=reconstruction, crystal=crystal, diffraction=diffraction, files=placed, truth=truth)


def _remembering(
    reconstruction: Reconstruction, plan: ReconstructionPlan, recorder: Recorder, level: float
) -> Reconstruction:
    """Return the reconstruction with the whole plan, every step's note, and the isosurface that the analysis took."""
    whole = replace(reconstruction.provenance, plan=plan.model_dump(mode="json"), notes=recorder.notes)
    quality = replace(reconstruction.quality, isosurface_level=level)
    return replace(reconstruction, provenance=whole, quality=quality)
