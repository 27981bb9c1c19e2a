"""The report of a merge: one HTML page that loads nothing. Gathers words and pictures."""

import base64
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.figures import (
    BLUE,
    FAINT,
    INK,
    INTENSITY_MAP,
    ORANGE,
    VERMILION,
    add_scale_bar,
    new_figure,
    plain_axes,
)
from friedel.core.files.atomic import replacing
from friedel.core.report import render_page
from friedel.spi.density.compare import HALF, Comparison
from friedel.spi.density.phase import Density
from friedel.spi.merge.files import summary_of
from friedel.spi.merge.merged import Merged, MergeRun
from friedel.spi.merge.plan import MergePlan
from friedel.spi.orient.quality import CROWDED, DOUBTED

_MOST_NAMED = 60  # outliers named on the page; the table of frames has all
PLANES = ("x →  y ↑", "x →  z ↑", "y →  z ↑")  # of a volume (z, y, x) cut or summed along z, y, x
_SHOWN = 0.1  # of the highest value: what a close-up of a density doesn't cut off


def write_merge_report(path: Path, plan: MergePlan, run: MergeRun) -> None:
    """Write the page.

    Parameters
    ----------
    path : Path
        The file.
    plan : MergePlan
        What was asked for.
    run : MergeRun
        What was found.
    """
    merged, density, comparison = run.merged, run.density, run.comparison
    pictures = [
        ("Slices of the intensity through its centre, logarithmic, over a million to one at most.", slices(merged)),
        ("Agreement of the halves by shell, and what it promises for the whole.", shells(merged)),
        (
            "Where the beam passed through the particle, how sure the angles are, how frames fit, and the fluences.",
            frames_figure(merged),
        ),
    ]
    if density is not None:
        pictures.append(
            ("Projections of the density, and the transfer function of its phases.", density_figure(density))
        )
    if comparison is not None:
        pictures.append(
            (
                f"The density and the known structure, turned onto it, in projection: {comparison.sentence}.",
                comparison_figure(comparison),
            )
        )
    values = {
        "name": ", ".join(file.name for file in plan.frames),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "figures": summary_of(run),
        "doubted": DOUBTED,
        "crowded": CROWDED,
        "named": merged.outliers[:_MOST_NAMED].tolist(),
        "pictures": [{"caption": caption, "uri": _uri(figure)} for caption, figure in pictures],
        "symmetries": [one.sentence for one in run.symmetries],
        "plan": plan.text(),
        "version": __version__,
    }
    with replacing(path) as unfinished:
        unfinished.write_text(render_page("friedel.spi.merge", "merge.html.j2", values), encoding="utf-8")


def _uri(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def slices(merged: Merged) -> Figure:
    """Draw the three slices through the intensity's centre, logarithmic; unmeasured voxels are grey."""
    n, figure = merged.intensity.shape[0], new_figure(9.0, 2.9)
    logarithm = np.log10(np.maximum(merged.intensity, merged.intensity.max() * 1e-6))
    shown = np.where(merged.exposure > 0, logarithm, np.nan)
    span = (float(logarithm.min()), float(logarithm.max()))
    row = figure.subplots(1, 3)
    for axes, axis, name in zip(row, range(3), PLANES, strict=True):
        image = axes.imshow(shown.take(n // 2, axis=axis), origin="lower", cmap=INTENSITY_MAP, clim=span)
        axes.set_facecolor("#d3d7dc")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, fontsize=9, color=INK)
    _colour_bar(figure, image, row, "log₁₀ of the intensity")
    return figure


def _colour_bar(figure: Figure, image: ScalarMappable, axes: Any, label: str) -> None:
    bar = figure.colorbar(image, ax=axes, fraction=0.05, pad=0.02)
    bar.set_label(label, fontsize=9, color=INK)
    bar.ax.tick_params(labelsize=8, colors=INK)


def shells(merged: Merged) -> Figure:
    """Draw the halves' correlation by shell and the correlation with the truth that it promises."""
    figure, quality = new_figure(6.5, 3.0), merged.quality
    axes = figure.subplots()
    axes.plot(quality.q, quality.halves, color=BLUE, label="two halves")
    promised = np.where(np.isfinite(quality.halves), quality.corrected, np.nan)
    axes.plot(quality.q, quality.chance, color=FAINT, label="two halves, by chance")
    axes.plot(quality.q, promised, color=ORANGE, label="expected with the truth")
    axes.axhline(0.143, color=FAINT, linewidth=0.8, linestyle=":")
    axes.set_ylim(min(0.0, float(np.nanmin(quality.halves))) if np.isfinite(quality.halves).any() else 0.0, 1.02)
    plain_axes(axes, x="q, unit of the detector file", y="correlation")
    axes.legend(frameon=False, fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1))
    return figure


def frames_figure(merged: Merged) -> Figure:
    """Draw coverage of directions, angular uncertainty, fit and fluence of the frames."""
    figure, used = new_figure(9.0, 5.4), merged.used
    coverage, uncertainty, fit, fluence = figure.subplots(2, 2).ravel()
    w, x, y, z = merged.orientations[used].T
    height, azimuth = 1 - 2 * (x**2 + y**2), np.degrees(np.arctan2(2 * (y * z - w * x), 2 * (x * z + w * y)))
    *_, image = coverage.hist2d(azimuth, height, bins=(18, 9), range=((-180, 180), (-1, 1)), cmap=INTENSITY_MAP)
    _colour_bar(figure, image, coverage, "frames")
    plain_axes(coverage, x="azimuth of the beam, degrees", y="cos of its polar angle")
    coverage.grid(visible=False)
    uncertainty.hist(np.degrees(merged.uncertainty[used]), bins=30, color=BLUE)
    plain_axes(uncertainty, x="uncertainty of the orientation, degrees", y="frames")
    known = np.isfinite(merged.fit)
    edges = np.linspace(float(merged.fit[known].min()), float(merged.fit[known].max()), 40)
    fit.hist(merged.fit[used], bins=edges, color=BLUE, label="used")
    fit.hist(merged.fit[known & ~used], bins=edges, color=VERMILION, label="left out")
    fit.legend(frameon=False, fontsize=8)
    plain_axes(fit, x="fit: what the model promises is 1; smoothing makes it a little more", y="frames")
    fluence.hist(merged.fluence[used], bins=30, color=BLUE)
    plain_axes(fluence, x="fluence over its mean", y="frames")
    return figure


def _close_up(*volumes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the cube about the middle that holds all that some volumes of one grid have, and a margin, stacked."""
    n = volumes[0].shape[0]
    places = [np.argwhere(np.abs(values) > _SHOWN * np.abs(values).max()) for values in volumes]
    reach = min(int(np.abs(np.concatenate(places) - n // 2).max(initial=0)) + 2, n // 2)
    part = slice(n // 2 - reach, n // 2 + reach + 1)
    shown = np.stack([values[part, part, part] for values in volumes])
    return shown if len(volumes) > 1 else shown[0]


def density_figure(density: Density) -> Figure:
    """Draw three projections of a density and its PRTF."""
    figure = new_figure(9.0, 2.7)
    *maps, curve = figure.subplots(1, 4)
    for axes, axis, name in zip(maps, range(3), PLANES, strict=True):
        axes.imshow(_close_up(density.density).sum(axis), origin="lower", cmap=INTENSITY_MAP)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(f"{name}  (along {'zyx'[axis]})", fontsize=9, color=INK)
    add_scale_bar(maps[0], "voxels")
    curve.plot(density.q, density.prtf, color=BLUE)
    curve.axhline(np.exp(-1), color=FAINT, linewidth=0.8, linestyle=":")
    curve.set_ylim(0, 1.3)
    plain_axes(curve, x="q, unit of the detector file", y="PRTF")
    return figure


def comparison_figure(comparison: Comparison) -> Figure:
    """Draw projections of a density beside those of the structure it is compared with, and their FSC."""
    figure = new_figure(9.0, 2.7)
    first, second, curve = figure.subplots(1, 3)
    found, known = _close_up(comparison.density, comparison.reference)
    for axes, values, name in ((first, found, "density"), (second, known, "structure")):
        axes.imshow(values.sum(0), origin="lower", cmap=INTENSITY_MAP)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_title(name, fontsize=9, color=INK)
    curve.plot(comparison.q, comparison.fsc, color=BLUE)
    curve.axhline(HALF, color=FAINT, linewidth=0.8, linestyle=":")
    curve.set_ylim(min(0.0, float(np.nanmin(comparison.fsc))), 1.02)
    plain_axes(curve, x="q, unit of the detector file", y="Fourier shell correlation")
    return figure
