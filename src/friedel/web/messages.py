"""What a snapshot becomes on its way to the browser: a few parts, of which only the changed ones are sent.

A snapshot comes as the JSON that `friedel.stream.snapshot.to_json` wrote. Nothing of it is decoded but the powder,
which crosses as one byte a pixel rather than floats: a screen shows no more than 256 shades of grey.
"""

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

_STATE = ("mode", "taken", "source", "ledger", "frames_per_s", "threshold", "paused")
_RATES = (
    *(
        "rate_times",
        "rates",
        "histogram",
        "selected",
        "blank_count",
        "reject_count",
        "out_of_distribution_count",
        "model",
    ),
    *("sizes", "size_range", "main_size", "precision"),
)
_GALLERY = ("singles", "reject_band", "rejected")
_SURFACE = ("vertices", "faces", "vertex_strain", "coloured_by", "unit", "axes")
_SLICES = ("slices", "strain_slices", "coloured_by")
_BULKY = {"vertices", "faces", "vertex_strain", "slices", "strain_slices", "axes"}


def parts_of(text: str) -> dict[str, str]:
    """Return a snapshot's parts as JSON texts by name: state, and those of its mode.

    Parameters
    ----------
    text : str
        From `friedel.stream.snapshot.to_json`.

    Returns
    -------
    dict of str to str
        "state"; for hits "rates", "gallery", "powder" and, if they are merged, "merge"; for crystals "crystal",
        "slices" and "surface".
    """
    snapshot = json.loads(text)
    parts: dict[str, Any] = {"state": _chosen(snapshot, _STATE)}
    view = snapshot.get("view")
    hits, crystal = (view if snapshot["mode"] == mode else None for mode in ("hits", "crystal"))
    if hits is not None:
        parts["rates"], parts["gallery"] = _chosen(hits, _RATES), _chosen(hits, _GALLERY)
        parts["powder"] = {"image": _as_bytes(hits["powder"]), "n": hits["n_powder"]}
        if hits.get("merge") is not None:
            parts["merge"] = hits["merge"]
    if crystal is not None:
        parts["crystal"] = {name: value for name, value in crystal.items() if name not in _BULKY}
        parts["slices"], parts["surface"] = _chosen(crystal, _SLICES), _chosen(crystal, _SURFACE)
    return {name: json.dumps(value) for name, value in parts.items()}


def joined(parts: Mapping[str, str]) -> str:
    """Return parts as one JSON object."""
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in parts.items()) + "}"


def _chosen(values: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _as_bytes(packed: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return a packed float picture as packed bytes: the square root of its values, from 0 to the 99.8th percentile."""
    if packed is None:
        return None
    values = np.frombuffer(base64.b64decode(packed["base64"]), packed["dtype"]).reshape(packed["shape"])
    clean = np.sqrt(np.clip(np.nan_to_num(values.astype(np.float32)), 0, None))
    top = float(np.percentile(clean, 99.8)) if clean.size else 0.0
    shades = np.rint(np.clip(clean / max(top, 1e-30), 0, 1) * 255).astype(np.uint8)
    text = base64.b64encode(shades.tobytes()).decode("ascii")
    return {"dtype": "|u1", "shape": list(shades.shape), "base64": text}
