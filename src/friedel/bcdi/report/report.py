"""The report: one HTML file with the pictures, the verdict and its reasons, and how the result was made.

Everything is inside the file, pictures and the turnable 3D view included; the page loads nothing from anywhere.
The sentences are chosen in `words`, the pictures made in `pictures`; this module puts them on the page.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.report.pictures import pictures
from friedel.bcdi.report.words import figure_rows, moment, start_rows, step_rows, summary, truth_rows, verdict
from friedel.bcdi.results.cxi import CONVENTIONS
from friedel.bcdi.results.record_json import plan_yaml
from friedel.core.files.atomic import replacing
from friedel.core.report import render_page


def write_report(
    path: str | Path,
    *,
    reconstruction: Reconstruction,
    diffraction: Diffraction | None = None,
    crystal: CrystalImage | None = None,
    notes: Sequence[tuple[str, str]] = (),
    truth: Mapping[str, float] | None = None,
) -> Path:
    """Write the report of one reconstruction as a self-contained HTML page.

    Parameters
    ----------
    path : str or Path
        The file; it appears whole or not at all.
    reconstruction : Reconstruction
        What is reported.
    diffraction : Diffraction, optional
        The measurement; with it, measured and reconstructed intensities are shown beside each other.
    crystal : CrystalImage, optional
        The crystal on a regular grid; with it, the pictures show displacement and strain.
    notes : sequence of (str, str)
        What was done before phasing, (step, sentence) in order; the reconstruction's own notes follow.
    truth : mapping of str to float, optional
        Figures against the known answer, where the scan was simulated.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    path = Path(path)
    words = _words(reconstruction, crystal, notes, truth)
    page = render_page("friedel.bcdi.report", "report.html.j2", words | pictures(reconstruction, diffraction, crystal))
    with replacing(path) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return path


def _words(
    reconstruction: Reconstruction,
    crystal: CrystalImage | None,
    notes: Sequence[tuple[str, str]],
    truth: Mapping[str, float] | None,
) -> dict[str, Any]:
    quality, provenance = reconstruction.quality, reconstruction.provenance
    return {
        "name": provenance.source,
        "started": moment(provenance.started),
        "trusted": quality.trusted,
        "verdict": verdict(quality),
        "summary": summary(quality),
        "figures": figure_rows(reconstruction, crystal),
        "truth": truth_rows(truth),
        "reasons": quality.reasons,
        "starts": start_rows(reconstruction.starts),
        "steps": step_rows([*notes, *provenance.notes], crystal),
        "read": provenance.read,
        "conventions": CONVENTIONS,
        "plan": plan_yaml(provenance.plan),
        "version": provenance.versions.get("friedel", ""),
        "provenance": [
            ("data", provenance.source),
            ("started", moment(provenance.started)),
            ("took", f"{provenance.seconds:.1f} s"),
            ("seed", str(provenance.seed)),
            ("versions", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
        ],
    }
