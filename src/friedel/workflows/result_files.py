"""The files of one result: which, and under what names."""

from collections.abc import Mapping
from pathlib import Path

from friedel.base.errors import MissingDependencyError
from friedel.base.observer import Observer, Warned
from friedel.io.results import save_crystal, save_quality, save_reconstruction
from friedel.records import CrystalImage, Diffraction, Reconstruction
from friedel.workflows.plan import ReconstructionPlan, plan_text
from friedel.workflows.report import write_report
from friedel.workflows.result_picture import save_picture


def write_results(
    folder: Path,
    plan: ReconstructionPlan,
    reconstruction: Reconstruction,
    crystal: CrystalImage,
    diffraction: Diffraction,
    *,
    truth: Mapping[str, float],
    observer: Observer,
) -> dict[str, Path]:
    """Write every file of a result into an existing folder; return them by what they are for.

    Without PyVista the ParaView file is left out, and the observer is told so.

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
        "plan": folder / "plan.yaml",
    }
    written["plan"].write_text(plan_text(plan), encoding="utf-8")
    try:
        written["ParaView"] = save_crystal(crystal, folder / "crystal.vti")
    except MissingDependencyError as error:
        observer(Warned("crystal.vti", f"not written: {error}"))
    report = write_report(
        folder / "report.html", reconstruction=reconstruction, crystal=crystal, diffraction=diffraction, truth=truth
    )
    return {"report": report, **written}
