"""What every benchmark shares: its arguments, and the table that puts each figure beside its bar.

Measures nothing itself. A benchmark makes a `Report`, adds lines, and prints it; the lines are also kept as JSON in
``benchmarks/results/``, which stays out of version control.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

RESULTS = Path(__file__).parent / "results"
SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real measurements beside the checkout; benchmarks that need them say so where they are absent."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One figure; ``met`` is None where there is no bar."""

    what: str
    figure: str
    bar: str
    peer: str
    met: bool | None


@dataclass
class Report:
    """The figures of one benchmark."""

    title: str
    quick: bool
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, what: str, figure: str, *, bar: str = "", peer: str = "", met: bool | None = None) -> None:
        """Add a figure, its bar and the peer's figure, each as text, and whether the bar is met."""
        self.lines.append(Line(what=what, figure=figure, bar=bar, peer=peer, met=met))

    def note(self, text: str) -> None:
        """Add a sentence below the table."""
        self.notes.append(text)

    def put_beside(self, earlier: Mapping[str, str]) -> None:
        """Put another version's figures, by the lines' names, before what peers reach."""
        self.lines = [
            replace(line, peer="; ".join(filter(None, (f"before: {earlier.get(line.what, '-')}", line.peer))))
            for line in self.lines
        ]

    def finish(self) -> None:
        """Print the table and keep it as JSON."""
        print(f"\n{self.title}{'  [reduced setting: not the bar itself]' if self.quick else ''}")
        rows = [("", "friedel", "bar", "peer", "")]
        rows += [(x.what, x.figure, x.bar, x.peer, _verdict(x.met)) for x in self.lines]
        widths = [max(len(row[column]) for row in rows) for column in range(5)]
        for row in rows:
            print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        for text in self.notes:
            print(f"  {text}")
        self._keep()

    @property
    def _name(self) -> str:
        return self.title.split(":")[0].replace(" ", "_") + ("_quick" if self.quick else "")

    def earlier(self, checkout: Path, given: Sequence[str]) -> dict[str, str]:
        """Return what this benchmark measures of another version's package, by the lines' names.

        Parameters
        ----------
        checkout : Path
            Of that version; this benchmark's own lines measure it.
        given : sequence of str
            Arguments of the benchmark.

        Raises
        ------
        subprocess.CalledProcessError
            If it fails there, as where the package lacks a name that is used here.
        """
        where = os.environ | {"PYTHONPATH": str(checkout.resolve() / "src")}
        subprocess.run([sys.executable, sys.argv[0], *given], env=where, check=True, stdout=subprocess.DEVNULL)
        kept = json.loads((RESULTS / f"{self._name}.json").read_text(encoding="utf-8"))
        return {line["what"]: line["figure"] for line in kept["lines"]}

    def _keep(self) -> None:
        RESULTS.mkdir(exist_ok=True)
        kept = asdict(self) | {"when": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        (RESULTS / f"{self._name}.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _verdict(met: bool | None) -> str:
    return "" if met is None else "met" if met else "MISSED"


def machine() -> dict[str, str | int]:
    """Return what a timing depends on."""
    names = ("torch", "numpy", "scipy")
    found: dict[str, str | int] = {name: version(name) for name in names}
    return found | {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count() or 0}


def arguments(
    description: str | None, *, more: Callable[[argparse.ArgumentParser], None] | None = None
) -> argparse.Namespace:
    """Return the command line's arguments: ``--quick``, ``--threads`` and a benchmark's own.

    Parameters
    ----------
    description : str
        Shown by ``--help``.
    more : function, optional
        Adds the benchmark's own arguments to the parser.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a reduced setting, under a minute")
    parser.add_argument("--threads", type=int, default=None, help="threads of torch; its own choice if not given")
    if more is not None:
        more(parser)
    given = parser.parse_args()
    if given.threads is not None:
        torch.set_num_threads(given.threads)
    return given


def spread(values: Sequence[float], digits: int = 4) -> str:
    """Return "median (least … greatest)" of some figures; "-" of none."""
    if not values:
        return "-"
    low, middle, high = (f"{value:.{digits}f}" for value in (min(values), float(np.median(values)), max(values)))
    return middle if len(values) == 1 else f"{middle} ({low} … {high})"
