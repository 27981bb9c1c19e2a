"""A series on paper: a table as CSV, plots against the condition with error bars, and one report of it all."""

import base64
import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from types import MappingProxyType

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from friedel.core.figures import BLUE, SMALL_POINTS, VERMILION, new_figure, plain_axes
from friedel.core.files.atomic import replacing
from friedel.core.report import render_page
from friedel.core.series.members import FEWEST, SeriesMember
from friedel.core.statistics import with_error

LONGEST = 24  # letters of a plot's title on one line: more would run into its neighbours'
MOST_LETTERS = 60  # of all members' names, for them to stand below the plots where no condition does
NO_PICTURES: Mapping[str, tuple[Path, str]] = MappingProxyType({})
Quantity = tuple[str, str, float]
"""Number, title, factor."""


@dataclass(frozen=True, kw_only=True)
class SeriesPages:
    """What a series' files show.

    Attributes
    ----------
    members : sequence of SeriesMember
        In order.
    against : str
        Condition along which tables and plots run.
    outliers : mapping of str to str
        Members that don't fit in, and why.
    plotted : sequence of (str, str, float)
        Numbers in plots and in the report's table: name, title, factor.
    kind : str
        What a member is called ("scan", "run").
    columns : mapping of str to mapping of str to str or float
        Further columns of the table, each by the member's name.
    fits_in : str
        What is said where there is no outlier.
    remarks : mapping of str to str
        Members that fit in, and of which something is to be said.
    """

    members: Sequence[SeriesMember]
    against: str
    outliers: Mapping[str, str]
    plotted: Sequence[Quantity]
    kind: str
    columns: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    fits_in: str = ""
    remarks: Mapping[str, str] = field(default_factory=dict)

    def write(
        self,
        folder: Path,
        *,
        movie: Path | None = None,
        caption: str = "",
        pictures: Mapping[str, tuple[Path, str]] = NO_PICTURES,
    ) -> dict[str, Path]:
        """Write table, plots and report into a folder; return them by what they are for.

        Parameters
        ----------
        folder : Path
            Of the series; each member's own report lies in a folder of its name.
        movie : Path, optional
            Animated picture to put into the report.
        caption : str
            Of the movie.
        pictures : mapping of str to (Path, str)
            Further PNGs in the report, each by its title, with its caption.

        Raises
        ------
        InputError
            If a file can't be written.
        """
        written = {"table": folder / "series.csv", "plots": folder / "series.png", "report": folder / "report.html"}
        with replacing(written["table"]) as unfinished:
            unfinished.write_text(self.table(), encoding="utf-8")
        with replacing(written["plots"]) as unfinished:
            self.figure().savefig(unfinished, dpi=150)
        values = self._words() | {
            "plots": _embedded(written["plots"], "png"),
            "movie": "" if movie is None else _embedded(movie, "gif"),
            "caption": caption,
            "pictures": [(title, _embedded(path, "png"), text) for title, (path, text) in pictures.items()],
        }
        with replacing(written["report"]) as unfinished:
            unfinished.write_text(render_page("friedel.core", "series.html.j2", values), encoding="utf-8")
        return written

    def table(self) -> str:
        """Return one line a member as CSV: conditions, numbers with their errors, further columns, why an outlier."""
        conditions = sorted({name for member in self.members for name in member.conditions})
        numbers = sorted({name for member in self.members for name in member.numbers})
        errors = sorted({name for member in self.members for name in member.errors})
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([self.kind, *conditions, *numbers, *(f"{n}_error" for n in errors), *self.columns, "outlier"])
        for member in self.members:
            writer.writerow(
                [
                    member.name,
                    *(member.conditions.get(name, "") for name in conditions),
                    *(member.numbers.get(name, "") for name in numbers),
                    *(member.errors.get(name, "") for name in errors),
                    *(column.get(member.name, "") for column in self.columns.values()),
                    self.outliers.get(member.name, ""),
                ]
            )
        return text.getvalue()

    def figure(self) -> Figure:
        """Draw each number against the condition, with error bars where there are; outliers are marked.

        Those far off stand at the frame (`_reach`).
        """
        shown = [item for item in self.plotted if any(item[0] in member.numbers for member in self.members)]
        figure = new_figure(7.0, 2.1 * max(1, len(shown)))
        grid = figure.subplots(max(1, len(shown)), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, title, factor) in zip(grid, shown, strict=False):
            low, high = self._reach(name)
            for place, member in enumerate(self.members):
                if name not in member.numbers:
                    continue
                outlier = member.name in self.outliers
                style = {"color": VERMILION if outlier else BLUE, "marker": "^" if outlier else "o", "markersize": 4.5}
                error = member.errors.get(name)
                at = member.conditions.get(self.against, float(place))
                bar = None if error is None else _bars(factor * member.numbers[name], factor * error, title)
                value = min(max(member.numbers[name], low), high)
                axes.errorbar(
                    at, factor * value, yerr=bar if value == member.numbers[name] else None, capsize=2, **style
                )
            plain_axes(axes, x="", y=title if len(title) <= LONGEST else title.replace(" (", "\n("))
            axes.yaxis.get_offset_text().set_fontsize(SMALL_POINTS)
        grid[-1].set_xlabel(self.against.replace("_", " "))
        if not any(self.against in member.conditions for member in self.members):
            grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
            names = [member.name for member in self.members]
            if sum(len(name) + 2 for name in names) <= MOST_LETTERS:
                grid[-1].set_xticks(range(len(names)), names)
        return figure

    def _reach(self, name: str) -> tuple[float, float]:
        """Return between which values a number is drawn: as far again beyond those that fit in as they spread.

        One aborted member would else press all the others into a line.
        """
        fits = [m.numbers[name] for m in self.members if name in m.numbers and m.name not in self.outliers]
        spread = max(fits, default=0.0) - min(fits, default=0.0)
        if len(fits) < FEWEST or not spread > 0:
            return -np.inf, np.inf
        return min(fits) - spread, max(fits) + spread

    def _words(self) -> dict[str, object]:
        rows, said = [], {**self.remarks, **self.outliers}
        for place, member in enumerate(self.members):
            values = [_number(member, name, factor) for name, _, factor in self.plotted]
            at = member.conditions.get(self.against, place)
            rows.append((member.name, f"{at:g}", values, not member.failed, said.get(member.name, "")))
        return {
            "kind": self.kind,
            "n_members": len(self.members),
            "against": self.against.replace("_", " "),
            "outliers": list(self.outliers.items()),
            "fits_in": self.fits_in,
            "remarks": list(self.remarks.items()),
            "titles": [title for _, title, _ in self.plotted],
            "rows": rows,
        }


def _number(member: SeriesMember, name: str, factor: float) -> str:
    value, error = member.numbers.get(name), member.errors.get(name)
    if value is None:
        return ""
    return f"{factor * value:.6g}" if error is None else with_error(factor * value, factor * error)


def _bars(value: float, error: float, title: str) -> list[list[float]]:
    """Return an error bar down and up; a share's ends where shares do."""
    if not title.endswith("(%)"):
        return [[error], [error]]
    return [[min(error, max(value, 0.0))], [min(error, max(100.0 - value, 0.0))]]


def _embedded(path: Path, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
