"""A series of crystals on paper: what of each scan is shown, and the strain, scan after scan, as a movie."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.animation import PillowWriter

from friedel.bcdi.series.facets import FILE as FACETS
from friedel.bcdi.series.facets import followed_figure, followed_table
from friedel.core.figures import SIGNED_MAP, new_figure
from friedel.core.files.atomic import replacing
from friedel.core.series.pages import SeriesPages

if TYPE_CHECKING:
    from friedel.bcdi.series.run import SeriesResult
    from friedel.bcdi.series.together import Together

PLOTTED = (
    ("diameter_nm", "diameter (nm)", 1.0),
    ("d_spacing_angstrom", "lattice spacing d (Å)", 1.0),
    ("strain_rms", "strain, rms (10⁻³)", 1e3),
    ("displacement_range_angstrom", "displacement range (Å)", 1.0),
    ("chi", "misfit χ", 1.0),
)
"""Numbers in plots: name, title, factor."""
_FACETS_TITLE = "Facets"
_FACETS_CAPTION = (
    "Mean strain of the voxels just under each facet, edges and corners left out, about each crystal's mean lattice; "
    "the largest facets, scans that don't fit in left out. Bars are standard errors. All facets: facets.csv."
)
_SCANS_PER_S = 3  # of the movie: each is seen for a third of a second


def write_series(folder: Path, result: "SeriesResult") -> dict[str, Path]:
    """Write table, plots, movie and report into a folder; return them by what they are for.

    Raises
    ------
    InputError
        If a file can't be written.
    """
    together, movie = result.together, folder / "series.gif"
    shown = together is not None and together.strain is not None
    if together is not None and shown:
        with replacing(movie) as unfinished:
            write_movie(unfinished, together)
    caption = f"The middle slice across z, each crystal moved and turned onto {together.reference}." if together else ""
    facets = _write_facets(folder, result)
    pictures = {_FACETS_TITLE: (facets["facets' strain"], _FACETS_CAPTION)} if "facets' strain" in facets else {}
    pages = series_pages(result)
    written = pages.write(folder, movie=movie if shown else None, caption=caption, pictures=pictures)
    return written | facets | ({"movie": movie} if shown else {})


def _write_facets(folder: Path, result: "SeriesResult") -> dict[str, Path]:
    """Write the followed facets' table, and their picture if there is a strain to be drawn."""
    if not result.facets:
        return {}
    written, exposed = {"facets": folder / FACETS}, {scan.name: scan.conditions for scan in result.scans}
    with replacing(written["facets"]) as unfinished:
        unfinished.write_text(followed_table(result.facets, exposed), encoding="utf-8")
    places = {
        scan.name: scan.conditions.get(result.against, float(place))
        for place, scan in enumerate(result.scans)
        if scan.name not in result.outliers
    }
    figure = followed_figure(result.facets, places, result.against)
    if figure is not None:
        written["facets' strain"] = folder / "facets.png"
        with replacing(written["facets' strain"]) as unfinished:
            figure.savefig(unfinished, dpi=150, bbox_inches="tight", format="png")
    return written


def series_pages(result: "SeriesResult") -> SeriesPages:
    """Return what table, plots and report show of a series, each crystal's pose in the common frame included."""
    together = result.together
    placed = dict(zip(together.names, together.alignments, strict=True)) if together else {}
    return SeriesPages(
        members=result.scans,
        against=result.against,
        outliers=result.outliers,
        plotted=PLOTTED,
        kind="scan",
        columns={
            "trusted": {scan.name: scan.quality.get("trusted", "") for scan in result.scans},
            "correlation": {name: f"{how.correlation:.4f}" for name, how in placed.items()},
            "turned_deg": {name: f"{how.angle_deg:.3f}" for name, how in placed.items()},
        },
        fits_in="Every scan was reconstructed and resembles its neighbours.",
        remarks=result.doubtful,
    )


def write_movie(path: Path, together: "Together") -> None:
    """Write the strain's middle slice, scan after scan in one frame, as an animated GIF."""
    strain = together.strain
    assert strain is not None
    reach = float(np.nanpercentile(np.abs(strain), 99)) or 1e-6
    figure = new_figure(4.0, 3.6)
    axes = figure.subplots()
    image = axes.imshow(1e3 * strain[0], cmap=SIGNED_MAP, vmin=-1e3 * reach, vmax=1e3 * reach, origin="lower")
    axes.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=axes, label="strain (10⁻³)")
    writer = PillowWriter(fps=_SCANS_PER_S)
    with writer.saving(figure, str(path), dpi=90):
        for name, picture in zip(together.names, strain, strict=True):
            image.set_data(1e3 * picture)
            axes.set_title(name, fontsize=9)
            writer.grab_frame()
