"""Context file for DAMNIT at the European XFEL: hits, hit rate, sizes and report of every run.

Put it beside the proposal's other context files, or paste its variables into them; friedel must be installed where
DAMNIT runs its variables. Results lie in ``scratch/friedel/rNNNN`` below the proposal. What is there already, from a
watch or an earlier classification, is taken as it is; else the run is classified, on the cluster.
"""

import json
from pathlib import Path

from damnit_ctx import Variable

RESULTS = "scratch/friedel/r{run:04d}"
GEOMETRY = None
"""CrystFEL geometry file of a detector whose modules aren't put together; None: the run's own."""


@Variable(title="friedel/Results", data="proc", cluster=True)
def friedel_results(run, number: "meta#run_number", proposal: "meta#proposal_path"):
    """Folder of the results."""
    folder = Path(proposal, RESULTS.format(run=number))
    if not (folder / "summary.json").exists():
        from friedel.spi.classify.classify import run_classification
        from friedel.spi.classify.plan import ClassifyPlan
        from friedel.spi.frames.files import FrameFiles

        frames = FrameFiles(paths=(Path(run.files[0].filename).parent,), geometry=GEOMETRY)
        run_classification(ClassifyPlan(frames=frames), folder)
    return str(folder)


def _summary(folder):
    return json.loads(Path(folder, "summary.json").read_text())


def _frames(found):
    """Return how many frames were scored: a classification counts them, a watch has them in its ledger."""
    return found["frames"] if "frames" in found else found["ledger"]["processed"]


@Variable(title="friedel/Frames")
def friedel_frames(run, folder: "var#friedel_results"):
    """Frames that have a score."""
    return _frames(_summary(folder))


@Variable(title="friedel/Hits")
def friedel_hits(run, folder: "var#friedel_results"):
    """Frames that were selected as single hits."""
    return _summary(folder)["selected"]


@Variable(title="friedel/Hit rate")
def friedel_hit_rate(run, folder: "var#friedel_results"):
    """Their share of all frames."""
    found = _summary(folder)
    return found["selected"] / _frames(found) if _frames(found) else 0.0


@Variable(title="friedel/Out of distribution")
def friedel_out_of_distribution(run, folder: "var#friedel_results"):
    """Frames unlike all that the classifier has learnt from."""
    return _summary(folder)["out_of_distribution"]


@Variable(title="friedel/Size")
def friedel_size(run, folder: "var#friedel_results"):
    """Diameter of the commonest particle among the hits, with its unit; empty where none was measured."""
    sizes = _summary(folder).get("sizes") or {}
    modes = sizes.get("modes") or []
    return f"{modes[0]['diameter']:.3g} {sizes['unit']}" if modes else ""


@Variable(title="friedel/Report")
def friedel_report(run, folder: "var#friedel_results"):
    """The report, to be opened in a browser; a watch leaves none."""
    report = Path(folder, "report.html")
    return str(report) if report.exists() else ""
