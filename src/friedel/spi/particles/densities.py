"""Particles from densities a user has: MRC/CCP4 maps and NumPy arrays, brought to one size and centred.

A map's noise below a threshold is cut away. Needs mrcfile for MRC files.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from friedel.core.errors import InputError
from friedel.core.optional import load_optional
from friedel.spi.particles.particle import FILL, SMALLEST_BOX, Particle, largest_diameter

Density = NDArray[np.float32]

MRC_SUFFIXES = (".mrc", ".map", ".ccp4", ".mrcs", ".rec")
LARGEST_ANISOTROPY = 0.01
"""Relative difference of a voxel's edges that still counts as a cube."""


def density_particle(
    path: str | Path, *, n: int = 64, voxel_size_angstrom: float | None = None, threshold: float = 0.05
) -> Particle:
    """Read a density and make a particle of it.

    Parameters
    ----------
    path : str or Path
        An MRC/CCP4 map (``.mrc .map .ccp4``) or a 3D array (``.npy``), axes ``(z, y, x)``.
    n : int
        Voxels along each edge of the particle's box; the density is resampled so that its diameter is 0.72 of it.
    voxel_size_angstrom : float, optional
        Edge of a voxel in the file, instead of the map's own. Without either the particle has no size of its own.
    threshold : float
        What lies below this share of the maximum is noise and becomes 0.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind; not 3D, not real, empty, or with voxels that aren't cubes.
    MissingDependencyError
        For an MRC map without mrcfile.
    """
    path = Path(path)
    if n < SMALLEST_BOX:
        raise InputError(f"a particle's box must have at least {SMALLEST_BOX} voxels an edge, got n={n!r}")
    if not 0 <= threshold < 1:
        raise InputError(f"threshold is a share of the maximum, at least 0 and below 1; got {threshold!r}")
    values, own_voxel = read_density(path)
    kept = np.where(values >= threshold * values.max(), values, 0).clip(min=0)
    if not kept.any():
        raise InputError(f"{path}: the density is nowhere above zero, so there is no particle in it")
    density, shrink = _fitted(kept, n)
    voxel = voxel_size_angstrom or own_voxel
    return Particle(
        name=path.name,
        density=density,
        diameter_voxels=FILL * n,
        voxel_size_angstrom=None if voxel is None else voxel * shrink,
    )


def read_density(path: Path) -> tuple[Density, float | None]:
    """Read a density ``(z, y, x)`` float32 and the edge of its voxels, Å, where the file says it.

    Raises
    ------
    InputError
        If the file is missing, damaged or of another kind; not 3D, not real, or with voxels that aren't cubes.
    MissingDependencyError
        For an MRC map without mrcfile.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    suffix = path.suffix.lower()
    if suffix == ".npy":
        values, voxel = _read_npy(path), None
    elif suffix in MRC_SUFFIXES:
        values, voxel = _read_mrc(path)
    else:
        known = ", ".join((".npy", *MRC_SUFFIXES))
        raise InputError(f"{path}: unknown kind of density {suffix!r}; known are {known}")
    if values.ndim != 3 or 0 in values.shape:
        raise InputError(f"{path}: a density has axes (z, y, x), got shape {values.shape}")
    if values.dtype.kind not in "fiub":
        raise InputError(f"{path}: a density holds real numbers, got {values.dtype}; store its modulus or real part")
    if not np.isfinite(values).all():
        raise InputError(f"{path}: holds NaN or inf; replace them, by 0 outside the particle")
    return values.astype(np.float32), voxel


def _read_npy(path: Path) -> NDArray[np.generic]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not a NumPy array that can be read ({error})") from None


def _read_mrc(path: Path) -> tuple[NDArray[np.generic], float | None]:
    mrcfile = load_optional("mrcfile", package="mrcfile", extra="spi", purpose="read MRC maps")
    try:
        with mrcfile.open(path, mode="r") as file:
            values, edges = np.array(file.data), [float(file.voxel_size[axis]) for axis in "zyx"]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not an MRC map that can be read ({error})") from None
    if max(edges) > 0 and np.ptp(edges) > LARGEST_ANISOTROPY * max(edges):
        raise InputError(f"{path}: voxels of {edges} Å (z, y, x) aren't cubes; resample the map first")
    return values, edges[0] if min(edges) > 0 else None


def _fitted(density: Density, n: int) -> tuple[Density, float]:
    """Return the density resampled to n³ about its centre of mass, and the new voxel's edge in old voxels."""
    centre = np.array(ndimage.center_of_mass(density))
    reach = np.linalg.norm(np.argwhere(density > 0) - centre, axis=1).max() + 0.5
    shrink = float(2 * reach / (FILL * n))
    # Smooth away what the new voxels can't hold; finer ones need nothing.
    smooth = ndimage.gaussian_filter(density, 0.4 * max(shrink - 1, 0.0)) if shrink > 1 else density
    offset = centre - shrink * (n // 2)
    fitted = ndimage.affine_transform(smooth, np.full(3, shrink), offset=offset, output_shape=(n, n, n), order=1)
    if not fitted.max() > 0:
        raise InputError(
            f"the density's {largest_diameter(density):.0f} voxels vanish in a box of {n}; take a larger n"
        )
    return fitted.astype(np.float32), shrink
