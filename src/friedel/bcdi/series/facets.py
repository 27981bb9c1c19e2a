"""Facets of a series: those of the reference crystal, followed through all scans in the common frame."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel.bcdi.facets import Facet, read_facet_table
from friedel.bcdi.series.together import Together
from friedel.bcdi.strain.align import Alignment
from friedel.core.errors import InputError
from friedel.core.figures import new_figure, plain_axes

FILE = "facets.csv"
"""Of each scan, in its folder; the series' own, of the same name, has them all."""
_SAME_DEG = 6.0
"""Facets of two scans are one where their normals are nearer than this once the crystals are aligned: found facets lie
within 3° of the true ones, and no two of a crystal are nearer than 12° (`friedel.bcdi.facets`)."""
_MARKERS = "os^vD<>p"  # told apart without colours, too; more facets than these can't be in one picture


@dataclass(frozen=True, eq=False, kw_only=True)
class FollowedFacet:
    """One facet through a series.

    Attributes
    ----------
    name : str
        Its Miller indices, "(1 -1 1)", else its place by area, "facet 3".
    normal : (3,) float64
        Outward, ``(x, y, z)``, on the reference crystal.
    scans : dict of str to Facet
        What it was in each scan where it was found, displacement and normal turned onto the reference.
    """

    name: str
    normal: NDArray[np.float64]
    scans: dict[str, Facet]


def follow_facets(folder: Path, together: Together) -> tuple[FollowedFacet, ...]:
    """Follow the reference crystal's facets through a series, largest first.

    Parameters
    ----------
    folder : Path
        Of the series; each scan's facets lie in its own folder.
    together : Together
        How each crystal lies on the reference.

    Raises
    ------
    InputError
        If a scan's table of facets can't be read.
    """
    found = {
        name: _read(folder / name / FILE, how) for name, how in zip(together.names, together.alignments, strict=True)
    }
    return tuple(
        FollowedFacet(name=_name(facet, place), normal=facet.normal, scans=_same(facet.normal, found))
        for place, facet in enumerate(found[together.reference], start=1)
    )


def _read(path: Path, how: Alignment) -> list[Facet]:
    try:
        facets = read_facet_table(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{path}: can't be read ({error}); remove the scan's folder and run the series again"
        ) from error
    sign = -1.0 if how.inverted else 1.0
    return [_turned(facet, sign * how.rotation[::-1, ::-1], sign) for facet in facets]


def _turned(facet: Facet, rotation: NDArray[np.float64], sign: float) -> Facet:
    """Return a facet in the reference's frame, by a rotation of ``(x, y, z)``; a twin's displacement changes sign."""
    turned = {"normal": rotation @ facet.normal, "displacement_angstrom": sign * facet.displacement_angstrom}
    return Facet(**{**facet.__dict__, **turned})


def _same(normal: NDArray[np.float64], found: Mapping[str, Sequence[Facet]]) -> dict[str, Facet]:
    least, same = np.cos(np.deg2rad(_SAME_DEG)), {}
    for name, facets in found.items():
        nearest = max(facets, key=lambda facet: float(facet.normal @ normal), default=None)
        if nearest is not None and nearest.normal @ normal > least:
            same[name] = nearest
    return same


def _name(facet: Facet, place: int) -> str:
    return f"facet {place}" if facet.hkl is None else f"({' '.join(str(n) for n in facet.hkl)})"


def followed_table(facets: Sequence[FollowedFacet], conditions: Mapping[str, Mapping[str, float]]) -> str:
    """Return one line a scan and facet as CSV text.

    Parameters
    ----------
    facets : sequence of FollowedFacet
        What to tell.
    conditions : mapping of str to mapping of str to float
        Of each scan.
    """
    names, text = sorted({name for given in conditions.values() for name in given}), StringIO()
    writer = csv.writer(text, lineterminator="\n")
    told = ("area_nm2", "distance_nm", "strain", "strain_error", "displacement_A", "error_A", "voxels")
    writer.writerow(["facet", "normal_x", "normal_y", "normal_z", "scan", *names, *told])
    for facet in facets:
        for scan, one in facet.scans.items():
            numbers = [one.area_nm2, one.distance_nm, one.strain, one.strain_error]
            numbers += [one.displacement_angstrom, one.displacement_error_angstrom]
            words = ["" if np.isnan(n) else f"{n:.6g}" for n in numbers]
            given = [conditions.get(scan, {}).get(name, "") for name in names]
            normal = [f"{n:.4f}" for n in facet.normal]
            writer.writerow([facet.name, *normal, scan, *given, *words, one.n_voxels])
    return text.getvalue()


def followed_figure(facets: Sequence[FollowedFacet], places: Mapping[str, float], against: str) -> Figure | None:
    """Draw the strain of the largest facets against a condition, with error bars; None where no strain is known.

    Parameters
    ----------
    facets : sequence of FollowedFacet
        Largest first.
    places : mapping of str to float
        Where each scan stands along the condition; scans that aren't in it are left out.
    against : str
        The condition.
    """
    lines = [(facet.name, _line(facet, places)) for facet in facets]
    lines = [(name, line) for name, line in lines if line.shape[1] > 1][: len(_MARKERS)]
    if not lines:
        return None
    figure = new_figure(7.0, 3.6)
    axes = figure.subplots()
    for (name, (at, strain, error)), marker in zip(lines, _MARKERS, strict=False):
        axes.errorbar(
            at, 1e3 * strain, yerr=1e3 * error, label=name, marker=marker, markersize=4.5, linewidth=1, capsize=2
        )
    plain_axes(axes, x=against.replace("_", " "), y="mean strain under the facet (10⁻³)")
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _line(facet: FollowedFacet, places: Mapping[str, float]) -> NDArray[np.float64]:
    """Return place, strain and error of the scans that have them, ``(3, n)``."""
    rows = [(places[name], one.strain, one.strain_error) for name, one in facet.scans.items() if name in places]
    table = np.array([row for row in rows if np.isfinite(row).all()], dtype=np.float64).reshape(-1, 3)
    return table[np.argsort(table[:, 0], kind="stable")].T
