"""The demo's second picture: what the network guessed, what refinement made of it, and the truth, side by side."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from friedel.base.errors import WeightsError
from friedel.base.observer import Note, Observer
from friedel.forward import SimulatedScan
from friedel.io.atomic_write import replacing
from friedel.phasing.ambiguities import align_to
from friedel.phasing.guess import PhasingModel, load_phasing_model
from friedel.workflows.phasing_pictures import beside_figure
from friedel.workflows.predict import predict
from friedel.workflows.run import RunResult

FILE = "network.png"
GUESS, REFINED = "network's guess", "after refinement"
_DOTS_PER_INCH = 130


def with_chain(
    result: RunResult, simulated: SimulatedScan, folder: Path, *, model: str | Path = "default", observer: Observer
) -> RunResult:
    """Guess the demo's crystal with the network alone, and draw guess and result beside the truth.

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
        With the picture among its files, and the guess's correlation among the figures; as it was without weights.
    """
    try:
        network = load_phasing_model(model, device="cpu")
    except WeightsError as error:
        observer(Note("network", f"no guess to show: {error}"))
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
    guess = predict(pattern.intensities, mask=pattern.mask, model=network)
    seconds = time.perf_counter() - began
    guessed, near = align_to(guess.object, truth)
    refined, nearer = align_to(result.reconstruction.object, truth)
    path = folder / FILE
    with replacing(path) as unfinished:
        figure = beside_figure({"truth": truth, GUESS: guessed, REFINED: refined})
        figure.savefig(unfinished, dpi=_DOTS_PER_INCH)
    text = f"guessed in {1e3 * seconds:.0f} ms: correlation with the truth {near:.3f}, {nearer:.4f} after refinement"
    observer(Note("network", text, {"guess": near, "refined": nearer}))
    truths = {**result.truth, "correlation of the network's guess": near}
    return replace(result, files={**result.files, "network": path}, truth=truths)
