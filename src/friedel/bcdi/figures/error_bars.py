"""Error bars as pictures: maps of standard errors through the crystal, and line profiles with their bands."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.bcdi.figures.slices import Panel, slices_figure
from friedel.bcdi.records import CrystalErrors, CrystalImage
from friedel.core.figures import BLUE, INK, SMALL_POINTS, new_figure, plain_axes
from friedel.core.units import ANGSTROM_PER_NM

ERROR_MAP = "cividis"
_PERCENTILE = 99.0  # at which the colours end: single surface voxels have far larger errors


@dataclass(frozen=True, eq=False)
class _Field:
    """A quantity with its standard error, ``(z, y, x)``, and its name with the unit."""

    title: str
    values: NDArray[np.floating]
    error: NDArray[np.floating]


def error_slices(crystal: CrystalImage, errors: CrystalErrors) -> Figure:
    """Draw the standard errors through the middle of the crystal, a row for each quantity, from zero up."""
    edge = crystal.voxel_size_angstrom
    size = 1.0 if edge is None else edge / ANGSTROM_PER_NM
    return slices_figure(
        [_panel(field) for field in _fields(crystal, errors)],
        support=crystal.support,
        voxel_size=(size, size, size),
        unit="voxels" if edge is None else "nm",
        axis_names=("rocking", "row", "column") if edge is None else ("z", "y", "x"),
    )


def profiles_figure(crystal: CrystalImage, errors: CrystalErrors) -> Figure:
    """Draw each quantity along the three lines through the crystal's centre of mass.

    The darker band is one standard error to either side, the lighter one two.
    """
    fields = _fields(crystal, errors)
    edge = crystal.voxel_size_angstrom
    names, unit = (("rocking", "row", "column"), "voxels") if edge is None else (("z", "y", "x"), "nm")
    step = 1.0 if edge is None else edge / ANGSTROM_PER_NM
    figure = new_figure(9.0, 0.3 + 2.1 * len(fields))
    rows = figure.subplots(len(fields), 3, squeeze=False, sharey="row")
    centre = np.rint(np.argwhere(crystal.support).mean(axis=0)).astype(int)
    for row, field in zip(rows, fields, strict=True):
        for axes, axis in zip(row, (2, 1, 0), strict=True):
            _draw_profile(axes, field, crystal.support, centre, axis, step)
            plain_axes(axes, x=f"{names[axis]} ({unit})", y=field.title if axis == 2 else "")
    return figure


def _draw_profile(
    axes: Axes, field: _Field, support: NDArray[np.bool_], centre: NDArray[np.int64], axis: int, step: float
) -> None:
    line = tuple(slice(None) if k == axis else int(centre[k]) for k in range(3))
    inside = support[line] & np.isfinite(field.values[line])
    place = (np.arange(support.shape[axis]) - support.shape[axis] // 2) * step
    values, error = (np.where(inside, array[line], np.nan) for array in (field.values, field.error))
    for width, strength in ((2, 0.18), (1, 0.35)):
        axes.fill_between(place, values - width * error, values + width * error, color=BLUE, alpha=strength, lw=0)
    axes.plot(place, values, color=INK, linewidth=1.0, marker=".", markersize=2.5)
    if inside.any():
        axes.set_xlim(place[inside][0] - 2 * step, place[inside][-1] + 2 * step)
    axes.tick_params(labelsize=SMALL_POINTS)


def _fields(crystal: CrystalImage, errors: CrystalErrors) -> list[_Field]:
    """Return displacement and strain with their errors; without geometry, the phase."""
    found = []
    if crystal.displacement_angstrom is not None and errors.displacement_angstrom is not None:
        found.append(_Field("displacement (Å)", crystal.displacement_angstrom, errors.displacement_angstrom))
    if crystal.strain is not None and errors.strain is not None:
        found.append(_Field("strain (10⁻³)", crystal.strain * 1e3, errors.strain * 1e3))
    return found or [_Field("phase (rad)", crystal.phase, errors.phase_rad)]


def _panel(field: _Field) -> Panel:
    known = field.error[np.isfinite(field.error)]
    top = float(np.percentile(known, _PERCENTILE)) if known.size else 1.0
    name, unit = field.title.split(" (")
    return Panel(title=f"error of\n{name} ({unit}", values=field.error, colour_map=ERROR_MAP, limits=(0.0, top or 1.0))
