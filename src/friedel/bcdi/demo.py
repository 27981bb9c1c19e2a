"""The demo of crystals: a simulated scan in a facility's own files, reconstructed, beside the truth."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from friedel.bcdi.evaluation.pictures import beside_figure
from friedel.bcdi.evaluation.truth import truth_figures
from friedel.bcdi.forward.scan import SimulatedScan, simulate_demo_scan
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.prediction.model import PhasingModel, load_phasing_model
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.predict import predict
from friedel.bcdi.records import CrystalImage, Reconstruction
from friedel.bcdi.run import RunResult, run_reconstruction
from friedel.bcdi.scans.write import write_aps34idc_scan
from friedel.core.errors import WeightsError
from friedel.core.files.atomic import replacing
from friedel.core.observer import Note, Observer, silent

SCAN_FOLDER = "scan"


def run_demo(
    output: Path,
    *,
    seed: int = 0,
    shape: tuple[int, int, int] = (64, 96, 96),
    plan: ReconstructionPlan | None = None,
    device: str | None = None,
    observer: Observer = silent,
) -> RunResult:
    """Simulate a rocking scan, write it as 34-ID-C does, reconstruct it from those files, show the prediction beside.

    Parameters
    ----------
    output : Path
        Folder for the results; the scan's files lie in ``scan`` inside it.
    seed : int
        Seed of the crystal, its noise and the reconstruction.
    shape : (int, int, int)
        ``(n_rocking, y, x)`` of the scan, at least 48 each.
    plan : ReconstructionPlan, optional
        Settings other than the defaults; its input and seed are replaced.
    device : str, optional
        "cpu" or "cuda"; None takes a GPU if there is one.
    observer : Observer
        Hears progress and what each step did.

    Raises
    ------
    InputError
        If the files can't be written.
    """
    simulated = simulate_demo_scan(seed=seed, shape=shape)
    source = write_aps34idc_scan(output / SCAN_FOLDER, simulated.scan, sample="Demo", observer=observer)
    observer(Note("demo", f"simulated a gold crystal's rocking scan of {shape[0]} frames in {output / SCAN_FOLDER}"))
    settings = (plan or ReconstructionPlan()).model_copy(update={"scan": source.located(Path.cwd()), "seed": seed})

    def compare(reconstruction: Reconstruction, crystal: CrystalImage) -> dict[str, float]:
        return truth_figures(simulated, reconstruction, crystal, settings.strain)

    result = run_reconstruction(settings, output, device=device, observer=observer, compare=compare)
    return with_chain(result, simulated, output, model=settings.phasing.guided.model, observer=observer)


FILE = "network.png"
PREDICTED, REFINED = "network's prediction", "after refinement"
_DOTS_PER_INCH = 130


def with_chain(
    result: RunResult, simulated: SimulatedScan, folder: Path, *, model: str | Path = "default", observer: Observer
) -> RunResult:
    """Predict the demo's crystal with the network alone, and draw prediction and result beside the truth.

    Parameters
    ----------
    result : RunResult
        The demo's reconstruction.
    simulated : SimulatedScan
        The truth.
    folder : Path
        For the picture.
    model : str or path
        The network's weights.
    observer : Observer
        Hears how near each comes, or that there are no weights.

    Returns
    -------
    RunResult
        With the picture among its files, and the prediction's correlation among the figures; as it was without weights.
    """
    try:
        network = load_phasing_model(model, device="cpu")
    except WeightsError as error:
        observer(Note("network", f"no prediction to show: {error}"))
        return result
    return _drawn(result, simulated, folder, network, observer)


def _drawn(
    result: RunResult, simulated: SimulatedScan, folder: Path, network: PhasingModel, observer: Observer
) -> RunResult:
    pattern, grid = result.diffraction, result.reconstruction.grid
    assert grid is not None  # the demo's files say where everything stood
    z, y, x = result.reconstruction.object.shape
    truth = align_to(np.asarray(simulated.object(grid, (z, y, x))), result.reconstruction.object)[0]
    began = time.perf_counter()
    prediction = predict(pattern.intensities, mask=~pattern.mask, model=network)
    seconds = time.perf_counter() - began
    predicted, near = align_to(prediction.object, truth)
    refined, nearer = align_to(result.reconstruction.object, truth)
    path = folder / FILE
    with replacing(path) as unfinished:
        figure = beside_figure({"truth": truth, PREDICTED: predicted, REFINED: refined})
        figure.savefig(unfinished, dpi=_DOTS_PER_INCH)
    text = f"predicted in {1e3 * seconds:.0f} ms: correlation with the truth {near:.3f}, {nearer:.4f} after refinement"
    observer(Note("network", text, {"prediction": near, "refined": nearer}))
    truths = {**result.truth, "correlation of the network's prediction": near}
    return replace(result, files={**result.files, "network": path}, truth=truths)
