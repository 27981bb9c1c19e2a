"""Single particles in the demo: a simulated run classified, and hits merged into a particle, beside the truth."""

from dataclasses import dataclass
from pathlib import Path

from friedel.core.observer import Note, Observer, silent
from friedel.spi.classify.classify import ClassifyResult, run_classification
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.classify.score import Scorer
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.frames.files import FrameFiles
from friedel.spi.hits.selection import SelectionOptions
from friedel.spi.merge.merge import run_merge
from friedel.spi.merge.merged import MergeRun
from friedel.spi.merge.plan import MergePlan
from friedel.spi.simulation.layout import read_truth
from friedel.spi.simulation.merge_data import MergeDataPlan, write_merge_data
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

RUN_FILE = "run.cxi"
HITS_FILE = "hits.emc"
MERGED = {
    "particle": "chain", "hits": 1500, "photons": 1500.0, "pixels": 41, "diameter": 10.0, "distance": 100.0, "stop": 2.0
}  # fmt: skip
"""What is merged: a globular chain, which has no symmetry. A larger one, or fewer photons a hit, needs more hits before
its halves agree."""
_PARTICLES = ("icosahedron", "soccer_ball", "torus", "rod")
_SINGLE_FRACTION = 0.3  # more than a real run has, so that a short one shows enough of both
_CHUNK = 16  # frames of one particle in a row, so that a short run shows all of them


@dataclass(frozen=True, eq=False, kw_only=True)
class HitsDemo:
    """What the demo leaves.

    Attributes
    ----------
    result : ClassifyResult
        Of the classification.
    precision : float
        Share of the selected frames that are single particles; 0 if none was selected.
    recall : float
        Share of the single particles' frames that were selected.
    """

    result: ClassifyResult
    precision: float
    recall: float


def run_hits_demo(
    output: Path,
    *,
    seed: int = 0,
    frames: int = 400,
    model: Scorer | None = None,
    device: str | None = None,
    observer: Observer = silent,
) -> HitsDemo:
    """Simulate a run of single-particle frames, classify it, and count how often that was right.

    Parameters
    ----------
    output : Path
        Folder for the results; the run lies in it as ``run.cxi``.
    seed : int
        Seed of the simulation.
    frames : int
        How many to simulate.
    model : Scorer, optional
        A loaded model; None takes the shipped one.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress and what each step did.

    Raises
    ------
    InputError
        If the files can't be written.
    """
    output.mkdir(parents=True, exist_ok=True)
    beam = ParticleRunOptions(particles=_PARTICLES, single_fraction=_SINGLE_FRACTION, chunk=_CHUNK, seed=seed)
    path = simulate_hits(SimulationPlan(frames=frames, run=beam), output / RUN_FILE, observer=observer).path
    observer(Note("demo", f"simulated {frames} frames, three in ten of one particle alone, in {path}"))
    # A fifth as many droplets as particles: one body each, but none of those that are looked for.
    plan = ClassifyPlan(frames=FrameFiles(paths=(path,)), select=SelectionOptions(mode="main"))
    result = run_classification(plan, output, model=model, device=device, observer=observer)
    single, chosen = read_truth(path, "single").astype(bool), result.run.selected
    right = int((single & chosen).sum())
    return HitsDemo(
        result=result,
        precision=right / max(int(chosen.sum()), 1),
        recall=right / max(int(single.sum()), 1),
    )


def run_merge_demo(output: Path, *, seed: int = 0, quick: bool = False, observer: Observer = silent) -> MergeRun:
    """Simulate hits of one particle, merge them as real ones would be, and compare the density with the truth.

    Parameters
    ----------
    output : Path
        Folder for the results; the hits lie in it as ``hits.emc``, what is known of them beside.
    seed : int
        Seed of the particle, its orientations and the photons.
    quick : bool
        Fewer hits on a smaller detector.
    observer : Observer
        Hears progress and what each step did.

    Raises
    ------
    InputError
        If the files can't be written.
    """
    size = {"hits": 600, "pixels": 33, "diameter": 8.0, "distance": 80.0, "stop": 1.5} if quick else {}
    plan = MergeDataPlan.read(MERGED | size | {"seed": seed})
    files = write_merge_data(plan, output / HITS_FILE, observer=observer)
    return run_merge(MergePlan(frames=(files["frames"],), compare=files["truth"], seed=seed), output, observer=observer)
