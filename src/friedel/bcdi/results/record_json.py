"""Everything of a reconstruction that isn't an array as text: one JSON and back, the plan as YAML. Opens no file.

NaN and infinity, which JSON doesn't know, become null; null inside a curve becomes NaN again. Tuples inside a plan
come back as lists.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from friedel.bcdi.records import Curve, Provenance, Quality, Reconstruction, Start, Uncertainty

UNCERTAINTY_ARRAYS = {"deviations": "deviations", "phase_error": "phase_rad", "amplitude_error": "amplitude"}
"""Names in a file of the arrays of an `Uncertainty`, and of its fields."""


def encode_record(reconstruction: Reconstruction) -> str:
    """Return quality, provenance and starts as JSON."""
    record = {
        "quality": reconstruction.quality.as_dict(),
        "provenance": asdict(reconstruction.provenance),
        "starts": [asdict(start) for start in reconstruction.starts],
        "uncertainty": None if reconstruction.uncertainty is None else reconstruction.uncertainty.figures(),
    }
    return to_json(record)


def decode_record(text: str) -> tuple[Quality, Provenance, tuple[Start, ...]]:
    """Return quality, provenance and starts from the JSON of `encode_record`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If the text isn't such a record.
    """
    record = json.loads(text)
    starts = tuple(_start(values) for values in record["starts"])
    return _quality(record["quality"]), _provenance(record["provenance"]), starts


def decode_uncertainty(text: str, arrays: Mapping[str, Any]) -> Uncertainty | None:
    """Return the standard errors from the JSON of `encode_record` and the arrays beside it; None if there are none.

    Parameters
    ----------
    text : str
        The JSON.
    arrays : mapping of str to array
        ``deviations``, ``phase_error`` and ``amplitude_error``, see `UNCERTAINTY_ARRAYS`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If text and arrays aren't such a record.
    """
    values = json.loads(text).get("uncertainty")
    if values is None:
        return None
    known: dict[str, Any] = {name: _number(value) for name, value in values.items() if name != "origins"}
    known |= {field: np.asarray(arrays[name]) for name, field in UNCERTAINTY_ARRAYS.items()}
    known |= {"origins": tuple(values["origins"]), "n_solutions": int(values["n_solutions"])}
    return Uncertainty(**known)


def to_json(value: Any) -> str:
    """Return strict JSON of plain values, NumPy arrays and scalars, and paths."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)


def plan_yaml(plan: Mapping[str, Any]) -> str:
    """Return a plan as YAML, in its own order, ready to be run again."""
    text: str = yaml.safe_dump(_plain(plan), sort_keys=False, allow_unicode=True, width=100)
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | None) else str(value)


def _quality(values: dict[str, Any]) -> Quality:
    known = dict(values)
    for name in ("prtf", "fsc"):
        known[name] = None if known.get(name) is None else _curve(known[name])
    known["reasons"] = tuple(known["reasons"])
    known["mode_fractions"] = tuple(known["mode_fractions"])
    known["chi"] = _number(known["chi"])
    return Quality(**known)


def _curve(values: dict[str, Any]) -> Curve:
    arrays = {name: _floats(values[name]) for name in ("frequency", "value", "threshold")}
    return Curve(criterion=values["criterion"], unit=values["unit"], **arrays)


def _provenance(values: dict[str, Any]) -> Provenance:
    notes, read = (tuple((str(step), str(text)) for step, text in values.get(key, ())) for key in ("notes", "read"))
    return Provenance(**{**values, "notes": notes, "read": read})


def _start(values: dict[str, Any]) -> Start:
    curve = _floats(values["chi_curve"]).astype(np.float32)
    iterations = np.asarray(values["iterations"], dtype=np.int64)
    numbers = {name: _number(values[name]) for name in ("chi", "correlation")}
    return Start(**{**values, **numbers, "chi_curve": curve, "iterations": iterations})


def _floats(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([_number(value) for value in values], dtype=np.float64)


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
