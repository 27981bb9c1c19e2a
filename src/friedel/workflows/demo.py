"""The demo: a simulated scan in a facility's own files, guessed and reconstructed as a real one, beside the truth."""

from pathlib import Path

from friedel.base.observer import Note, Observer, silent
from friedel.forward import simulate_demo_scan
from friedel.io.scan_writer import write_aps34idc_scan
from friedel.records import CrystalImage, Reconstruction
from friedel.workflows.demo_chain import with_chain
from friedel.workflows.plan import ReconstructionPlan
from friedel.workflows.run import RunResult, run_reconstruction
from friedel.workflows.truth import truth_figures

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
    """Simulate a rocking scan, write it as 34-ID-C does, reconstruct it from those files, and show the network's guess.

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
    settings = (plan or ReconstructionPlan()).model_copy(update={"scan": source.relative_to(Path.cwd()), "seed": seed})

    def compare(reconstruction: Reconstruction, crystal: CrystalImage) -> dict[str, float]:
        return truth_figures(simulated, reconstruction, crystal, settings.strain)

    result = run_reconstruction(settings, output, device=device, observer=observer, compare=compare)
    return with_chain(result, simulated, output, model=settings.phasing.guided.model, observer=observer)
