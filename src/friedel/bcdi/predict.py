"""What `friedel.predict` runs: a network's answer alone, in milliseconds, with its fit and without a verdict."""

import time
from datetime import UTC, datetime
from pathlib import Path

import torch
from numpy.typing import ArrayLike

from friedel.bcdi.phasing.prediction.model import PhasingModel, Prediction, kept_phasing_model
from friedel.bcdi.phasing.prediction.relaxed import THRESHOLD
from friedel.bcdi.prepare.arrays import as_diffraction
from friedel.bcdi.prepare.counts import require_structure
from friedel.bcdi.reconstruct import library_versions
from friedel.bcdi.records import Diffraction, Provenance, Quality, Reconstruction
from friedel.core.files.masks import Marks
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.machine.threads import single_thread
from friedel.core.observer import Recorder


def predict(
    intensities: ArrayLike | Diffraction,
    *,
    mask: ArrayLike | None = None,
    mask_marks: Marks | None = None,
    model: str | Path | PhasingModel = "default",
    device: str | torch.device | None = None,
) -> Reconstruction:
    """Let a network predict the object behind a 3D coherent diffraction pattern.

    A prediction is to look at while the beam is on, and to start from; `friedel.reconstruct` fits the photons. The
    result is never marked as trusted: there is one prediction, and nothing to compare it with.

    Parameters
    ----------
    intensities : (z, y, x) array, photons, or Diffraction
        The pattern around one Bragg peak; NaN where unknown. A numpy masked array's mask counts, too.
    mask : (z, y, x) or (y, x), bool or numbers, optional
        Non-zero is bad, as in CXI, NeXus and numpy.ma.
    mask_marks : {"bad", "good"}, optional
        What non-zero in the mask means, where it could be doubted.
    model : str, path or PhasingModel
        "default", a name or path of weights, or a model that is loaded already. What is loaded by name stays loaded
        until its files change.
    device : str or torch.device, optional
        "cpu" or "cuda"; None takes a GPU if there is one. A loaded model stays where it is.

    Returns
    -------
    Reconstruction
        With `.object`, `.support`, `.quality` and `.save(path)`; conventions in docs/conventions.md.

    Raises
    ------
    InputError
        If the intensities can't be used: wrong dimension, too small, infinite, nothing measured.
    WeightsError
        If the weights are missing, damaged or not of a phasing network.
    """
    keep_freed_memory()
    started, clock, recorder = datetime.now(UTC), time.perf_counter(), Recorder()
    loaded = model if isinstance(model, PhasingModel) else kept_phasing_model(model, device=device)
    with single_thread():  # its many small steps lose by waiting for each other's threads
        diffraction = as_diffraction(intensities, mask, mask_marks=mask_marks, observer=recorder)
        require_structure(diffraction)
    prediction = loaded.predict(diffraction)
    provenance = Provenance(
        plan={"model": loaded.card.model_dump(mode="json"), "oversampling": list(prediction.grid.oversampling)},
        seed=0,
        versions=library_versions(),
        source=diffraction.name,
        started=started.isoformat(timespec="seconds"),
        seconds=time.perf_counter() - clock,
        notes=recorder.notes,
        read=diffraction.read,
    )
    quality = _quality(prediction, loaded).counting(diffraction.warnings)
    return Reconstruction(
        object=prediction.object,
        support=prediction.support,
        quality=quality,
        provenance=provenance,
        grid=diffraction.grid,
    )


def _quality(prediction: Prediction, model: PhasingModel) -> Quality:
    sampling = ", ".join(f"{ratio:.1f}" for ratio in prediction.grid.oversampling)
    return Quality(
        chi=prediction.chi,
        support_voxels=int(prediction.support.sum()),
        support_fraction=float(prediction.support.mean()),
        support_threshold=THRESHOLD,
        n_starts=1,
        n_agreeing=1,
        trusted=False,
        reasons=(
            f"prediction: the network {model.name} alone, not refined; friedel.reconstruct fits the photons",
            f"fit: χ = {prediction.chi:.3f} on measured voxels",
            f"sampling: oversampling about {sampling} along z, y, x",
        ),
    )
