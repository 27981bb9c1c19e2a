"""How near a reconstruction of a simulated scan comes to the truth. Compares; reads and writes nothing."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.forward import SimulatedScan
from friedel.phasing.ambiguities import align_to, phase_difference_rad
from friedel.records import CrystalImage, Reconstruction
from friedel.strain import StrainOptions, analyse

# Surface voxels hold a share of the crystal; figures are taken where the truth is at least this much of its maximum.
INSIDE = 0.5


def truth_figures(
    simulated: SimulatedScan, reconstruction: Reconstruction, crystal: CrystalImage, options: StrainOptions
) -> dict[str, float]:
    """Compare a reconstruction with the crystal whose scan it was made from.

    Shift, global phase and twin, which intensities can't tell, are taken from the reconstruction first.

    Parameters
    ----------
    simulated : SimulatedScan
        The truth.
    reconstruction : Reconstruction
        With its grid.
    crystal : CrystalImage
        Its analysis.
    options : StrainOptions
        As used for ``crystal``: the truth is analysed alike.

    Returns
    -------
    dict of str to float
        Named figures, for the report.

    Raises
    ------
    InputError
        If the reconstruction has no geometry.
    """
    if reconstruction.grid is None:
        raise InputError("the truth lies in the laboratory, but the reconstruction has no geometry to compare it by")
    shape = reconstruction.object.shape
    truth = simulated.object(reconstruction.grid, (shape[0], shape[1], shape[2]))
    truth, correlation = align_to(truth, reconstruction.object)
    inside = np.abs(truth) > INSIDE * np.abs(truth).max()
    error = phase_difference_rad(reconstruction.object, truth, inside)
    figures = {"correlation with the truth": correlation, "phase error inside (rad rms)": error}
    true_crystal = analyse(replace(reconstruction, object=truth), options)
    return figures | _strain_figures(crystal, true_crystal)


def _strain_figures(crystal: CrystalImage, truth: CrystalImage) -> dict[str, float]:
    if crystal.strain is None or truth.strain is None or crystal.strain.shape != truth.strain.shape:
        return {}
    both = crystal.support & truth.support
    true_strain, difference = truth.strain[both], crystal.strain[both] - truth.strain[both]
    return {"true strain (10⁻³ rms)": 1e3 * _rms(true_strain), "strain error (10⁻³ rms)": 1e3 * _rms(difference)}


def _rms(values: NDArray[np.floating]) -> float:
    return float(np.sqrt(np.nanmean(values**2))) if values.size else float("nan")
