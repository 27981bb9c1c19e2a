"""A series on paper: a table as CSV, plots against the condition with error bars, a movie, and one report of it all."""

import base64
import csv
from io import BytesIO, StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.animation import PillowWriter
from matplotlib.figure import Figure

from friedel.core.figures import BLUE, SIGNED_MAP, VERMILION, new_figure, plain_axes
from friedel.core.files.atomic import replacing
from friedel.core.report import render_page

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
_SCANS_PER_S = 3  # of the movie: each is seen for a third of a second


def write_series(folder: Path, result: "SeriesResult") -> dict[str, Path]:
    """Write table, plots, movie and report into a folder; return them by what they are for.

    Raises
    ------
    InputError
        If a file can't be written.
    """
    written = {"table": folder / "series.csv", "plots": folder / "series.png", "report": folder / "report.html"}
    with replacing(written["table"]) as unfinished:
        unfinished.write_text(series_table(result), encoding="utf-8")
    plots = series_figure(result)
    with replacing(written["plots"]) as unfinished:
        plots.savefig(unfinished, dpi=150)
    if result.together is not None and result.together.strain is not None:
        written["movie"] = folder / "series.gif"
        with replacing(written["movie"]) as unfinished:
            write_movie(unfinished, result.together)
    page = render_page("friedel.bcdi.series", "series.html.j2", _words(result, written))
    with replacing(written["report"]) as unfinished:
        unfinished.write_text(page, encoding="utf-8")
    return written


def series_table(result: "SeriesResult") -> str:
    """Return one line a scan as CSV: conditions, numbers with their errors, quality, pose, and why it is an outlier."""
    conditions = sorted({name for scan in result.scans for name in scan.conditions})
    numbers = sorted({name for scan in result.scans for name in scan.numbers})
    errors = sorted({name for scan in result.scans for name in scan.errors})
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    pose = ("correlation", "turned_deg")
    writer.writerow(
        ["scan", *conditions, "chi", "trusted", *numbers, *(f"{n}_error" for n in errors), *pose, "outlier"]
    )
    placed = dict(zip(result.together.names, result.together.alignments, strict=True)) if result.together else {}
    for scan in result.scans:
        how = placed.get(scan.name)
        writer.writerow(
            [
                scan.name,
                *(scan.conditions.get(name, "") for name in conditions),
                scan.quality.get("chi", ""),
                scan.quality.get("trusted", ""),
                *(scan.numbers.get(name, "") for name in numbers),
                *(scan.errors.get(name, "") for name in errors),
                *(("", "") if how is None else (f"{how.correlation:.4f}", f"{how.angle_deg:.3f}")),
                result.outliers.get(scan.name, ""),
            ]
        )
    return text.getvalue()


def series_figure(result: "SeriesResult") -> Figure:
    """Draw each number against the condition, with error bars where there are; outliers are marked."""
    shown = [item for item in PLOTTED if any(_value(scan, item[0]) is not None for scan in result.scans)]
    figure = new_figure(7.0, 2.1 * max(1, len(shown)))
    grid = figure.subplots(max(1, len(shown)), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (name, title, factor) in zip(grid, shown, strict=False):
        for place, scan in enumerate(result.scans):
            value = _value(scan, name)
            if value is None:
                continue
            outlier = scan.name in result.outliers
            style = {"color": VERMILION if outlier else BLUE, "marker": "^" if outlier else "o", "markersize": 4.5}
            error = scan.errors.get(name)
            at = scan.conditions.get(result.against, float(place))
            axes.errorbar(at, factor * value, yerr=None if error is None else factor * error, capsize=2, **style)
        plain_axes(axes, x="", y=title)
    grid[-1].set_xlabel(result.against.replace("_", " "))
    return figure


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


def _value(scan: "object", name: str) -> float | None:
    numbers = getattr(scan, "numbers", {})
    return numbers.get(name) if name != "chi" else getattr(scan, "quality", {}).get("chi")


def _words(result: "SeriesResult", written: dict[str, Path]) -> dict[str, object]:
    rows = []
    for place, scan in enumerate(result.scans):
        values = [_words_of(scan, name, factor) for name, _, factor in PLOTTED]
        at = scan.conditions.get(result.against, place)
        rows.append((scan.name, f"{at:g}", values, not scan.failed, result.outliers.get(scan.name, "")))
    movie = written.get("movie")
    return {
        "n_scans": len(result.scans),
        "n_failed": sum(bool(scan.failed) for scan in result.scans),
        "against": result.against.replace("_", " "),
        "outliers": list(result.outliers.items()),
        "titles": [title for _, title, _ in PLOTTED],
        "rows": rows,
        "reference": result.together.reference if result.together else "",
        "plots": _embedded(written["plots"].read_bytes(), "png"),
        "movie": _embedded(movie.read_bytes(), "gif") if movie else "",
    }


def _words_of(scan: "object", name: str, factor: float) -> str:
    value, error = _value(scan, name), getattr(scan, "errors", {}).get(name)
    if value is None:
        return ""
    return f"{factor * value:.6g}" + ("" if error is None else f" ± {factor * error:.2g}")


def _embedded(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(BytesIO(data).getvalue()).decode('ascii')}"
