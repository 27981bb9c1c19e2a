"""The report's pictures, ready to stand inside the page: each with a caption and words for those who can't see it."""

import base64
import math
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.base.errors import InputError
from friedel.base.fourier import fourier
from friedel.base.units import ANGSTROM_PER_NM
from friedel.plotting import (
    SurfaceMesh,
    error_curves_figure,
    histogram_figure,
    intensities_figure,
    phase_mesh,
    reconstruction_slices,
    resolution_figure,
    surface_figure,
)
from friedel.plotting.surface import size_words, vertex_colours
from friedel.records import Diffraction, Reconstruction

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


def pictures(reconstruction: Reconstruction, diffraction: Diffraction | None) -> dict[str, Any]:
    """Return everything the page shows, under the names its template knows."""
    bulk = float(np.median(reconstruction.amplitude[reconstruction.support])) if reconstruction.support.any() else 1.0
    mesh = _mesh(reconstruction, bulk)
    return {
        "surface": None if mesh is None else _surface(mesh, reconstruction),
        "mesh": None if mesh is None else _turnable(mesh),
        "slices": [_slices(reconstruction)],
        "histogram": _histogram(reconstruction, bulk),
        "errors": _errors(reconstruction),
        "checks": [item for item in (_resolution(reconstruction), _intensities(reconstruction, diffraction)) if item],
    }


def _embedded(figure: Figure, *, title: str, caption: str, alt: str, narrow: bool = False) -> Picture:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    width, height = (round(float(inches) * 96) for inches in figure.get_size_inches())
    uri = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(title=title, caption=caption, alt=alt, uri=uri, width=width, height=height, narrow=narrow)


def _mesh(reconstruction: Reconstruction, bulk: float) -> SurfaceMesh | None:
    basis, level = reconstruction.voxel_basis_angstrom, reconstruction.quality.isosurface_level * bulk
    try:
        if basis is None:
            # Axes of the array stand in for the laboratory's: z, y, x are rows of an exchange of coordinates.
            return phase_mesh(reconstruction.object, level=level, basis=np.eye(3)[::-1], unit="voxels")
        return phase_mesh(reconstruction.object, level=level, basis=basis / ANGSTROM_PER_NM)
    except InputError:  # an object without a surface still deserves its report
        return None


def _surface(mesh: SurfaceMesh, reconstruction: Reconstruction) -> Picture:
    level = reconstruction.quality.isosurface_level
    frame = "laboratory axes" if mesh.unit == "nm" else "the array's axes, because the geometry is unknown"
    return _embedded(
        surface_figure(mesh),
        title="The object",
        caption=f"Surface at {level:.2f} of the crystal's amplitude, coloured by {mesh.colouring.title}; "
        f"{size_words(mesh)} ({frame}). Drag to turn; double-click to turn back.",
        alt=f"Surface of the object, coloured by {mesh.colouring.title}: {size_words(mesh)}.",
    )


def _slices(reconstruction: Reconstruction) -> Picture:
    return _embedded(
        reconstruction_slices(reconstruction),
        title="Slices in the measurement's own frame",
        caption="Through the centre of mass; the line is the support. The phase map is cyclic: −π and π are one colour. "
        "The axes are those of the scan and need not be perpendicular.",
        alt="Three orthogonal slices of amplitude and phase.",
    )


def _histogram(reconstruction: Reconstruction, bulk: float) -> Picture | None:
    if not reconstruction.support.any():
        return None
    level = reconstruction.quality.isosurface_level
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


def _turnable(mesh: SurfaceMesh) -> dict[str, Any]:
    """Return what the page's viewer needs: quantised corners in base64, and the scale's colours and numbers."""
    middle = (mesh.vertices.max(axis=0) + mesh.vertices.min(axis=0)) / 2
    reach = float(np.linalg.norm(mesh.vertices - middle, axis=1).max())
    places = np.rint((mesh.vertices - middle) * (32767 / reach)).astype("<i2")
    arrays = {
        "places": places,
        "normals": np.rint(mesh.normals * 127).astype("i1"),
        "colours": np.rint(vertex_colours(mesh)[:, :3] * 255).astype("u1"),
        "triangles": mesh.triangles.astype("<u4"),
    }
    payload = {name: base64.b64encode(array.tobytes()).decode("ascii") for name, array in arrays.items()}
    low, high = mesh.colouring.limits
    stops = (colormaps[mesh.colouring.colour_map](np.linspace(0, 1, 13))[:, :3] * 255).round().astype(int)
    return {
        "payload": {**payload, "corners": int(mesh.triangles.size)},
        "gradient": [f"rgb({red} {green} {blue})" for red, green, blue in stops],
        "low": _end(low),
        "middle": _end((low + high) / 2),
        "high": _end(high),
        "title": mesh.colouring.title,
    }


def _end(value: float) -> str:
    named = {math.pi: "π", -math.pi: "−π"}
    return named.get(value, f"{value:.3g}".replace("-", "−"))
