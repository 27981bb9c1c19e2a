"""The files of one result: which, and under what names."""

from collections.abc import Mapping
from pathlib import Path

from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.report.report import write_report
from friedel.bcdi.report.surface import save_picture
from friedel.bcdi.results.numbers import FILE as NUMBERS
from friedel.bcdi.results.numbers import save_numbers
from friedel.bcdi.results.save import save_crystal, save_quality, save_reconstruction
from friedel.bcdi.strain.summary import crystal_errors, crystal_numbers
from friedel.core.errors import MissingDependencyError
from friedel.core.observer import Observer, Warned


def write_results(
    folder: Path,
    plan: ReconstructionPlan,
    reconstruction: Reconstruction,
    crystal: CrystalImage,
    diffraction: Diffraction,
    *,
    truth: Mapping[str, float],
    conditions: Mapping[str, float],
    observer: Observer,
) -> dict[str, Path]:
    """Write every file of a result into an existing folder; return them by what they are for.

    Without PyVista the ParaView file is left out, and the observer is told so.

    Parameters
    ----------
    folder : Path
        An existing folder.
    plan : ReconstructionPlan
        Written beside the results.
    reconstruction, crystal, diffraction : records
        The object, its image in the laboratory, and the pattern.
    truth : mapping of str to float
        Figures against a known truth; empty if there is none.
    conditions : mapping of str to float
        Readings of the scan that were asked to be kept.
    observer : Observer
        Hears what is left out.

    Raises
    ------
    InputError
        If a file can't be written.
    """
    written = {
        "archive": save_reconstruction(
            reconstruction, folder / "reconstruction.cxi", diffraction=diffraction, crystal=crystal
        ),
        "scripts": save_reconstruction(reconstruction, folder / "reconstruction.npz"),
        "picture": save_picture(folder / "crystal.png", reconstruction, crystal),
        "figures": save_quality(reconstruction, folder / "quality.json"),
        "numbers": save_numbers(
            folder / NUMBERS,
            reconstruction,
            crystal_numbers(crystal),
            conditions=conditions,
            errors=crystal_errors(crystal),
        ),
        "plan": folder / "plan.yaml",
    }
    written["plan"].write_text(plan.text(), encoding="utf-8")
    try:
        written["ParaView"] = save_crystal(crystal, folder / "crystal.vti")
    except MissingDependencyError as error:
        observer(Warned("crystal.vti", f"not written: {error}"))
    report = write_report(
        folder / "report.html", reconstruction=reconstruction, crystal=crystal, diffraction=diffraction, truth=truth
    )
    return {"report": report, **written}
