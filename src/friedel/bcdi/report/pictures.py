"""The report's pictures, ready to stand inside the page: each with a caption and words for those who can't see it."""

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.bcdi.figures.curves import error_curves_figure, histogram_figure, resolution_figure
from friedel.bcdi.figures.error_bars import error_slices, profiles_figure
from friedel.bcdi.figures.intensities import intensities_figure
from friedel.bcdi.figures.slices import crystal_slices, reconstruction_slices
from friedel.bcdi.figures.surface import SurfaceMesh, size_words, surface_figure
from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.report.surface import surface_mesh, turnable
from friedel.bcdi.strain.surface import find_isosurface
from friedel.core.errors import InputError
from friedel.core.fourier import fourier
from friedel.core.units import ANGSTROM_PER_NM

DOTS_PER_INCH = 130


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture on the page: ``uri`` holds the PNG itself."""

    title: str
    caption: str
    alt: str
    uri: str
    width: int
    height: int
    narrow: bool = False


def pictures(
    reconstruction: Reconstruction, diffraction: Diffraction | None, crystal: CrystalImage | None
) -> dict[str, Any]:
    """Return everything the page shows, under the names its template knows."""
    bulk = _bulk(reconstruction, crystal)
    mesh = surface_mesh(reconstruction, crystal, bulk)
    slices = [] if crystal is None else [_crystal_slices(crystal), *_error_bars(crystal)]
    checks = [_resolution(reconstruction), _intensities(reconstruction, diffraction)]
    if crystal is None or crystal.frame != "voxels":  # there it would be the same picture again
        checks.append(_measured_slices(reconstruction))
    level = reconstruction.quality.isosurface_level if crystal is None else crystal.isosurface_level
    return {
        "surface": None if mesh is None else _surface(mesh, level),
        "mesh": None if mesh is None else turnable(mesh),
        "slices": slices,
        "histogram": _histogram(reconstruction, level, bulk),
        "errors": _errors(reconstruction),
        "checks": [item for item in checks if item],
    }


def _bulk(reconstruction: Reconstruction, crystal: CrystalImage | None) -> float:
    if crystal is not None:
        return crystal.bulk_amplitude
    try:
        return find_isosurface(reconstruction.amplitude, reconstruction.support).bulk
    except InputError:  # the report of an empty object is written without it
        return 1.0


def _embedded(figure: Figure, *, title: str, caption: str, alt: str, narrow: bool = False) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    width, height = (round(float(inches) * 96) for inches in figure.get_size_inches())
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(title=title, caption=caption, alt=alt, uri=uri, width=width, height=height, narrow=narrow)


def _surface(mesh: SurfaceMesh, level: float) -> Picture:
    what = f"coloured by {mesh.colouring.title}: {size_words(mesh)}"
    return _embedded(
        surface_figure(mesh),
        title="The crystal",
        caption=f"Surface at {level:.2f} of the inside's amplitude, {what}.",
        alt=f"Surface of the crystal, {what}.",
    )


def _crystal_slices(crystal: CrystalImage) -> Picture:
    known = "amplitude and phase" if crystal.strain is None else "amplitude, phase, displacement and strain"
    strain = "" if crystal.strain is None else _about_strain(crystal)
    size = crystal.voxel_size_angstrom
    grid = (
        "its own voxels" if size is None else f"cubic voxels of {size / ANGSTROM_PER_NM:.2f} nm, {crystal.frame} frame"
    )
    return _embedded(
        crystal_slices(crystal),
        title="Through the middle",
        caption=f"Slices through the centre of mass on {grid}; the line is the surface. The phase map is cyclic: "
        f"−π and π are one colour.{strain}",
        alt=f"Three orthogonal slices of {known}.",
    )


def _error_bars(crystal: CrystalImage) -> list[Picture]:
    errors = crystal.errors
    if errors is None or not crystal.support.any():
        return []
    what = "phase" if errors.strain is None else "displacement and strain"
    return [
        _embedded(
            profiles_figure(crystal, errors),
            title="How sure each voxel is",
            caption=f"The {what} along the three lines through the centre of mass. The darker band is one standard "
            "error to either side, the lighter one two: about 68 and 95 of a hundred voxels have the truth inside. "
            "Errors are relative to the crystal's own mean and mean lattice; neighbours' errors go together.",
            alt=f"Line profiles of {what} with bands of one and two standard errors.",
        ),
        _embedded(
            error_slices(crystal, errors),
            title="Standard errors",
            caption=f"Standard errors of {what} through the middle, from photon noise and from other solutions and "
            "supports that fit. Brighter is less sure.",
            alt=f"Three orthogonal slices of the standard errors of {what}.",
        ),
    ]


def _measured_slices(reconstruction: Reconstruction) -> Picture:
    return _embedded(
        reconstruction_slices(reconstruction),
        title="In the measurement's own frame",
        caption="The reconstruction on the voxels it was made on; the line is the support. Their axes are those of the "
        "scan and need not be perpendicular.",
        alt="Three orthogonal slices of amplitude and phase.",
    )


def _about_strain(crystal: CrystalImage) -> str:
    text = " Strain is relative to the crystal's mean lattice; red is a larger spacing."
    if crystal.turns is not None and crystal.turns.any():
        text += " Round a dislocation the displacement has a cut, which means nothing; the strain has none."
    if crystal.direction is None:
        return text
    x, y, z = (f"{component:+.2f}".replace("-", "−") for component in crystal.direction)
    return f"{text} Displacement and strain are along h, the direction ({x}, {y}, {z}) in x, y, z."


def _histogram(reconstruction: Reconstruction, level: float, bulk: float) -> Picture | None:
    if not reconstruction.support.any():
        return None
    return _embedded(
        histogram_figure(reconstruction.amplitude, reconstruction.support, level=level, bulk=bulk),
        title="Amplitudes",
        caption="Amplitudes inside the support. A crystal of one material has one peak, at 1; "
        "the surface is drawn where the line stands.",
        alt=f"Histogram of the amplitudes inside the support, with the surface's level at {level:.2f}.",
        narrow=True,
    )


def _errors(reconstruction: Reconstruction) -> Picture:
    return _embedded(
        error_curves_figure(reconstruction.starts),
        title="Error curves",
        caption="Misfit χ along the iterations. The lowest curve is not always the best image: see the reasons above.",
        alt=f"Misfit against iteration for {len(reconstruction.starts)} starts.",
        narrow=True,
    )


def _resolution(reconstruction: Reconstruction) -> Picture | None:
    figure = resolution_figure(reconstruction.quality)
    if figure is None:
        return None
    return _embedded(
        figure,
        title="Resolution",
        caption="How much of each spatial frequency is reproduced. The resolution is one over the frequency at which "
        "a curve first falls below its criterion, a full period.",
        alt="Transfer function and shell correlation against spatial frequency, with the point of crossing marked.",
    )


def _intensities(reconstruction: Reconstruction, diffraction: Diffraction | None) -> Picture | None:
    if diffraction is None or diffraction.intensities.shape != reconstruction.object.shape:
        return None
    modelled = _model(reconstruction.object, diffraction)
    return _embedded(
        intensities_figure(diffraction.intensities, modelled, diffraction.mask),
        title="Measured and reconstructed intensities",
        caption="Central slices. Hatched voxels were not measured; the reconstruction predicts them. "
        "The difference is in standard deviations of photon noise: patterns in it are what the image doesn't explain.",
        alt="Slices of the measured pattern, of the reconstruction's pattern and of their difference.",
    )


def _model(obj: NDArray[np.complex64], diffraction: Diffraction) -> NDArray[np.float32]:
    """Return |F|² scaled to as many photons on measured voxels as were measured there."""
    model: NDArray[np.float32] = fourier(torch.from_numpy(np.ascontiguousarray(obj))).abs().square().numpy()
    expected = float(model[diffraction.mask].sum(dtype=np.float64))
    return model * np.float32(diffraction.n_photons / expected) if expected > 0 else model
