"""The analysis from end to end: surface, laboratory grid, ramp, refraction, displacement, strain."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import CrystalErrors, CrystalImage, Reconstruction, Uncertainty
from friedel.bcdi.strain.errors import crystal_errors, size_of
from friedel.bcdi.strain.gradient import displacement_along_h, phase_turns, smoothed
from friedel.bcdi.strain.options import StrainOptions
from friedel.bcdi.strain.placed import Placed, strain_along_h, without_ramp
from friedel.bcdi.strain.refraction import path_length, refraction_factor, refractive_decrements
from friedel.bcdi.strain.regrid import grid_around, regridded, rotation_to, unit
from friedel.bcdi.strain.surface import Isosurface, find_isosurface, inside_of
from friedel.core.observer import Note, Observer, Recorder, Warned, silent, tee
from friedel.core.units import photon_energy_ev

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

TRUSTED = 0.5
"""Voxels below this fraction of the surface's amplitude are too dark for their phase to be used."""


def analyse(
    reconstruction: Reconstruction, options: StrainOptions | None = None, *, observer: Observer = silent
) -> CrystalImage:
    """Bring a reconstruction to a regular grid and read its displacement and strain.

    Parameters
    ----------
    reconstruction : Reconstruction
        In the convention of docs/conventions.md.
    options : StrainOptions or None
        Choices; None takes the defaults.
    observer : Observer
        Told what each step did.

    Returns
    -------
    CrystalImage
        In the frame asked for; without geometry, the object on its own voxels with its surface and nothing more.

    Raises
    ------
    InputError
        If the object is zero or no voxel reaches the surface's level.
    PlanError
        If the refraction's material is unknown.
    """
    chosen, recorder = options or StrainOptions(), Recorder()
    tell = tee(recorder, observer)
    surface = _surface(reconstruction, chosen, tell)
    if reconstruction.grid is None:
        return _on_voxels(reconstruction, surface, recorder, tell)
    placed = _place(reconstruction, reconstruction.grid, chosen, surface, tell)
    if chosen.refraction_material is not None:
        placed = _correct_refraction(placed, chosen.refraction_material, tell)
    if chosen.remove_ramp:
        placed = _remove_ramp(placed, tell)
    image = _measure(placed, chosen, surface, tell)
    errors = crystal_errors(
        reconstruction,
        placed,
        smoothing_voxels=chosen.smoothing_voxels,
        ramp_removed=chosen.remove_ramp,
        surface=surface,
    )
    _tell_errors(errors, tell)
    return replace(image, errors=errors, notes=_sentences(recorder))


def _surface(reconstruction: Reconstruction, options: StrainOptions, tell: Observer) -> Isosurface:
    found = find_isosurface(reconstruction.amplitude, reconstruction.support)
    if options.isosurface_level is not None:
        found = Isosurface(level=options.isosurface_level, bulk=found.bulk, spread=found.spread, reason="as asked for")
    tell(
        Note(
            "isosurface",
            f"surface at {found.level:.2f} of the bulk's amplitude: {found.reason}",
            {"level": found.level},
        )
    )
    return found


def _on_voxels(reconstruction: Reconstruction, surface: Isosurface, recorder: Recorder, tell: Observer) -> CrystalImage:
    inside, _ = inside_of(reconstruction.amplitude, surface.threshold)
    tell(Warned("geometry", "the measurement's geometry is unknown: lengths are in voxels, and there is no strain"))
    return CrystalImage(
        object=reconstruction.object,
        support=inside,
        isosurface_level=surface.level,
        bulk_amplitude=surface.bulk,
        frame="voxels",
        errors=_errors_on_voxels(reconstruction.uncertainty, inside),
        notes=_sentences(recorder),
    )


def _errors_on_voxels(uncertainty: Uncertainty | None, inside: Mask) -> CrystalErrors | None:
    if uncertainty is None:
        return None
    diameter, diameter_error = size_of(uncertainty, 1.0)
    phase = np.where(inside, uncertainty.phase_rad, np.nan).astype(np.float32)
    return CrystalErrors(phase_rad=phase, diameter=diameter, diameter_error=diameter_error)


def _place(
    reconstruction: Reconstruction, grid: ReciprocalGrid, options: StrainOptions, surface: Isosurface, tell: Observer
) -> Placed:
    shape, psi = reconstruction.object.shape, reconstruction.object
    turn = rotation_to(options.frame, grid.q_bragg / np.linalg.norm(grid.q_bragg))
    basis = grid.object_basis((shape[0], shape[1], shape[2])) @ turn.T
    trusted = reconstruction.support & (reconstruction.amplitude >= TRUSTED * surface.threshold)
    cubic = grid_around(trusted, basis, options.voxel_size_angstrom)
    amplitude, factor = regridded(psi, basis, cubic, trusted=trusted)
    inside, dropped = inside_of(amplitude * np.abs(factor), surface.threshold)
    k_in = 2 * np.pi / grid.wavelength_angstrom * np.array([0.0, 0.0, 1.0])
    text = f"complex field interpolated onto cubic voxels of {cubic.voxel_size:.1f} Å, {options.frame} frame"
    tell(Note("grid", text, {"voxel_size_angstrom": cubic.voxel_size, "voxels_inside": float(inside.sum())}))
    if dropped:
        tell(Note("grid", f"{dropped} voxels above the surface's level but apart from the crystal were left out"))
    return Placed(
        amplitude, factor, inside, cubic, h=turn @ grid.q_bragg, k_in=turn @ k_in, basis=basis, trusted=trusted
    )


def _correct_refraction(placed: Placed, formula: str, tell: Observer) -> Placed:
    wavelength = 2 * np.pi / float(np.linalg.norm(placed.k_in))
    delta, beta = refractive_decrements(formula, photon_energy_ev(wavelength))
    near = placed.known & ndimage.binary_dilation(placed.inside, iterations=2)
    path = path_length(placed.inside, near, placed.grid.voxel_size, placed.k_in, placed.k_in + placed.h)
    undo = refraction_factor(path, delta=delta, beta=beta, wavelength=wavelength)
    largest = 2 * np.pi / wavelength * delta * float(path.max())
    tell(Note("refraction", f"refraction of {formula} undone, up to {largest:.2f} rad", {"delta": delta, "beta": beta}))
    factor = np.where(near, placed.factor * unit(undo), 0)
    return replace(placed, amplitude=placed.amplitude * np.abs(undo), factor=factor)


def _remove_ramp(placed: Placed, tell: Observer) -> Placed:
    flat = without_ramp(placed)
    change = flat.spacing / placed.spacing - 1
    text = f"mean phase gradient taken out of the object and into h; the mean spacing changes by {change:.1e}"
    tell(Note("ramp", text, {"relative_change_of_spacing": change}))
    return flat


def _measure(placed: Placed, options: StrainOptions, surface: Isosurface, tell: Observer) -> CrystalImage:
    length = float(np.linalg.norm(placed.h))
    direction, d0 = placed.h / length, 2 * np.pi / length
    turns = _turns(placed, tell)
    smooth = smoothed(placed.factor, options.smoothing_voxels)
    strain = strain_along_h(smooth, placed)
    text = f"strain is relative to the crystal's mean lattice, d = {d0:.5f} Å, which is as true as the angles"
    tell(Note("strain", text, {"d0_angstrom": d0}))
    return CrystalImage(
        object=(placed.amplitude * placed.factor).astype(np.complex64),
        support=placed.inside,
        isosurface_level=surface.level,
        bulk_amplitude=surface.bulk,
        frame=options.frame,
        voxel_size_angstrom=placed.grid.voxel_size,
        displacement_angstrom=displacement_along_h(smooth, placed.inside, length, unwrap=options.unwrap),
        strain=strain.astype(np.float32),
        d_spacing_angstrom=(d0 * (1 + strain)).astype(np.float32),
        turns=turns,
        direction=direction,
        q_bragg=placed.h,
        d0_angstrom=d0,
    )


def _tell_errors(errors: CrystalErrors | None, tell: Observer) -> None:
    if errors is None or errors.strain is None or errors.displacement_angstrom is None:
        return
    strain, displacement = (
        float(np.sqrt(np.nanmean(values.astype(np.float64) ** 2)))
        for values in (errors.strain, errors.displacement_angstrom)
    )
    text = f"standard errors, rms over the crystal: displacement {displacement:.2g} Å, strain {strain:.1e}"
    tell(Note("errors", text, {"displacement_angstrom": displacement, "strain": strain}))


def _turns(placed: Placed, tell: Observer) -> Mask:
    # A dislocation's core is dark and may lie outside the isosurface: close the surface over it before looking.
    closed = ndimage.binary_closing(placed.inside, iterations=2)
    turns = phase_turns(placed.factor, closed)
    if turns.any():
        text = f"the phase turns by 2π around {int(turns.sum())} voxels: a dislocation; the displacement is many-valued"
        tell(Warned("dislocation", text))
    return turns


def _sentences(recorder: Recorder) -> tuple[str, ...]:
    return tuple(f"{event.step}: {event.text}" for event in recorder.events)
