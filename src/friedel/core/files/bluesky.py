"""Bluesky's documents in a file of JSON lines: what a run's motors and counters read, event by event. No images.

A line is ``["event", {…}]``, as suitcase-jsonl and databroker write it, or ``{"name": "event", "doc": {…}}``. The
documents are those of event-model (start, descriptor, event, event_page, stop). The baseline is read before a run and
after it: the first reading counts.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import readable, require_file
from friedel.core.files.fio import FioScan
from friedel.core.units import in_unit

SUFFIXES = (".jsonl", ".ndjson")
_BASELINE = "baseline"
Document = Mapping[str, Any]


def read_bluesky(path: Path, scan_id: int | None = None) -> FioScan:
    """Read the motors and columns of one run; angles in radians come in degrees.

    Parameters
    ----------
    path : Path
        A file of JSON lines.
    scan_id : int or None
        Which run; None: the only one.

    Raises
    ------
    InputError
        If it is missing, holds no such run, several, or no event.
    """
    require_file(path)
    with readable(path):
        runs = _runs(path)
    chosen = [run for run in runs if scan_id is None or run[0][1].get("scan_id") == scan_id]
    if len(chosen) != 1:
        there = ", ".join(str(run[0][1].get("scan_id")) for run in runs[:10]) or "none"
        raise InputError(f"{path}: one run is wanted, found {len(chosen)}; its scan_ids: {there}. State 'scan'")
    with readable(path):
        return _scan(chosen[0], path)


def _runs(path: Path) -> list[list[tuple[str, Document]]]:
    runs: list[list[tuple[str, Document]]] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.strip():
            continue
        found = json.loads(line)
        name, document = (found["name"], found["doc"]) if isinstance(found, dict) else found
        if name == "start":
            runs.append([])
        if runs:
            runs[-1].append((name, document))
    return runs


def _scan(run: list[tuple[str, Document]], path: Path) -> FioScan:
    start = run[0][1]
    descriptors = {document["uid"]: document for name, document in run if name == "descriptor"}
    columns: dict[str, list[Any]] = {}
    motors: dict[str, float] = {}
    for descriptor in descriptors.values():
        for configured in descriptor.get("configuration", {}).values():
            motors |= _numbers(configured.get("data", {}), {})
    for descriptor, data in _events(run, descriptors):
        values = _numbers(data, descriptor.get("data_keys", {}))
        if descriptor.get("name") == _BASELINE:
            motors |= {name: value for name, value in values.items() if name not in motors}
            continue
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    if not columns:
        raise InputError(f"{path}: the run {start.get('scan_id')} has no event; was it aborted at once?")
    longest = max(map(len, columns.values()))
    whole = {name: np.array(values) for name, values in columns.items() if len(values) == longest}
    command = f"{start.get('plan_name', 'run')} {' '.join(start.get('motors', ()))}".strip()
    return FioScan(command=command, motors=motors, columns=whole)


def _events(
    run: list[tuple[str, Document]], descriptors: Mapping[str, Document]
) -> Iterator[tuple[Document, Document]]:
    """Yield the descriptor and the data of each event, in the order of their numbers."""
    found: list[tuple[int, Document, Document]] = []
    data: Document
    for name, document in run:
        if name == "event":
            found.append((int(document["seq_num"]), descriptors[document["descriptor"]], document["data"]))
        elif name == "event_page":
            for k, number in enumerate(document["seq_num"]):
                data = {key: values[k] for key, values in document["data"].items()}
                found.append((int(number), descriptors[document["descriptor"]], data))
    for _, descriptor, data in sorted(found, key=lambda event: event[0]):
        yield descriptor, data


def _numbers(data: Document, keys: Document) -> dict[str, float]:
    """Return the plain numbers among readings, angles in degrees."""
    found: dict[str, float] = {}
    for name, value in data.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            degrees: float | NDArray[np.float64] | None = in_unit(float(value), keys.get(name, {}).get("units"), "deg")
            found[name] = float(value) if degrees is None else float(degrees)
    return found
