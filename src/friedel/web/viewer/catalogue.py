"""What results lie under some folders, and what a table says of each. Reads small files only, and each only once."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from friedel.bcdi.results.numbers import FILE, read_numbers
from friedel.bcdi.results.volumes import may_be_result, read_record, read_volumes, step_angstrom
from friedel.core.errors import FriedelError
from friedel.core.units import ANGSTROM_PER_NM

ARCHIVE = "reconstruction.cxi"
SCORES = "scores.h5"
MERGED = "merged.h5"
_DEPTH = 8
"""Folders deeper than this below the one named aren't searched: results lie near, raw data don't."""


@dataclass(frozen=True)
class Entry:
    """One result.

    Attributes
    ----------
    name : str
        Its place below the folder named, which is its name in the table.
    kind : str
        "crystal", "hits" or "particle".
    path : Path
        The CXI file of a crystal, the folder of a classified run or of a merge.
    folder : Path
        Where its other files lie.
    """

    name: str
    kind: str
    path: Path
    folder: Path


def find_results(folders: Sequence[Path]) -> list[Entry]:
    """Return the results under some folders, sorted by name; hidden folders are left out.

    Parameters
    ----------
    folders : sequence of Path
        Folders to search, or single ``.cxi`` files.
    """
    roots = [Path(os.path.abspath(folder)) for folder in folders]
    # Under several folders, names begin below what they have in common, so that no two results share one.
    base = Path(os.path.commonpath(roots)) if len(roots) > 1 else roots[0] if roots else Path()
    found: dict[Path, Entry] = {}
    for root in roots:
        for kind, path, folder in _under(root):
            place = path if kind == "lone" else folder
            name = str(place.relative_to(base)) if place != base else place.name
            entry = Entry(name, "crystal" if kind == "lone" else kind, path, folder)
            found.setdefault(path.resolve(), entry)
    return sorted(found.values(), key=lambda entry: entry.name)


def _under(root: Path) -> Iterator[tuple[str, Path, Path]]:
    """Give kind, path and folder of the results; "lone" is a crystal's file that isn't its folder's only result."""
    if root.is_file():
        yield "lone", root, root.parent
        return
    base = len(root.parts)
    for place, below, files in os.walk(root):
        folder = Path(place)
        below[:] = (
            sorted(name for name in below if not name.startswith(".")) if len(folder.parts) - base < _DEPTH else []
        )
        if ARCHIVE in files:
            yield "crystal", folder / ARCHIVE, folder
        elif SCORES in files:
            yield "hits", folder, folder
        elif MERGED in files:
            yield "particle", folder, folder
        else:
            lone = sorted(file for file in files if file.endswith(".cxi") and file != "selection.cxi")
            yield from (("lone", folder / file, folder) for file in lone if may_be_result(folder / file))


def row_of(entry: Entry) -> dict[str, Any]:
    """Return what the table shows of a result without opening a volume; ``error`` says why it can't be read.

    Returns
    -------
    dict
        "name", "kind", "source", "started", "chi", "trusted", "diameter_nm" (of hits the main size), "strain_rms",
        "d_spacing_angstrom", "hit_rate", "halves" (agreement of a merge's), "frames", "conditions", "errors"; what
        isn't known is absent.
        "waiting" is True while size and strain are still to be read from the volume.
    """
    row: dict[str, Any] = {"name": entry.name, "kind": entry.kind, "report": (entry.folder / "report.html").is_file()}
    try:
        return row | {"crystal": _crystal_row, "hits": _hits_row, "particle": _particle_row}[entry.kind](entry)
    except (FriedelError, OSError, KeyError, TypeError, ValueError) as error:
        return row | {"error": str(error)}


def filled(entry: Entry, row: dict[str, Any]) -> dict[str, Any]:
    """Return a waiting row with size and strain read from the result's volume."""
    try:
        volumes = read_volumes(entry.path, pattern=False)
    except FriedelError as error:
        return {**row, "waiting": False, "error": str(error)}
    step, numbers = step_angstrom(volumes), {}
    if step is not None:
        numbers["diameter_nm"] = (6 / 3.141592653589793 * volumes.inside.sum()) ** (1 / 3) * step / ANGSTROM_PER_NM
    if "strain" in volumes.quantities:
        known = volumes.quantities["strain"][volumes.inside].astype(float)
        numbers["strain_rms"] = float((known[known == known] ** 2).mean() ** 0.5)
    return {**row, **numbers, "waiting": False}


def _crystal_row(entry: Entry) -> dict[str, Any]:
    small = entry.folder / FILE
    if entry.path.name == ARCHIVE and small.is_file() and small.stat().st_mtime >= entry.path.stat().st_mtime - 1.0:
        values = read_numbers(small)
        row = {name: values.get(name) for name in ("source", "started", "chi", "trusted", "agreement")}
        return row | values["numbers"] | {"conditions": values["conditions"], "errors": values["errors"]}
    whole = entry.folder / "quality.json"
    readable = entry.path.name == ARCHIVE and whole.is_file()
    record = json.loads(whole.read_text(encoding="utf-8")) if readable else read_record(entry.path)
    quality, provenance = record["quality"], record["provenance"]
    return {
        "source": provenance["source"],
        "started": provenance["started"],
        "chi": quality["chi"],
        "trusted": quality["trusted"],
        "agreement": quality["agreement"],
        "waiting": True,
    }


def _particle_row(entry: Entry) -> dict[str, Any]:
    summary = _summary(entry)
    trusted = summary["verdict"] == "trust"
    return {"source": entry.name, "frames": summary["frames"], "halves": summary["halves"], "trusted": trusted}


def _summary(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((entry.folder / "summary.json").read_text(encoding="utf-8"))
    return found


def _hits_row(entry: Entry) -> dict[str, Any]:
    summary = _summary(entry)
    frames, selected = summary.get("frames"), summary.get("selected")
    files = [Path(read["file"]).name for read in summary.get("read", ())]
    source = f"{files[0]} and {len(files) - 1} more" if len(files) > 1 else files[0] if files else entry.name
    row = {"source": source, "frames": frames, "summary": summary}
    sizes = summary.get("sizes", {})
    if sizes.get("modes") and sizes.get("unit") == "nm":
        row["diameter_nm"] = sizes["modes"][0]["diameter"]
    return row | ({"hit_rate": selected / frames} if frames and selected is not None else {})
