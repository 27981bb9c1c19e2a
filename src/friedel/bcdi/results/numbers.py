"""``crystal.json``: one result in numbers, small enough that a table of hundreds is read at once."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from friedel.bcdi.records import Quality, Reconstruction
from friedel.bcdi.results.record_json import to_json
from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing

FILE = "crystal.json"


def save_numbers(
    path: Path,
    reconstruction: Reconstruction,
    numbers: Mapping[str, float],
    *,
    conditions: Mapping[str, Any] | None = None,
    errors: Mapping[str, float] | None = None,
) -> Path:
    """Write what a table shows of one result.

    Parameters
    ----------
    path : Path
        The file.
    reconstruction : Reconstruction
        Whose quality, source and date are told.
    numbers : mapping of str to float
        From `friedel.bcdi.strain.summary.crystal_numbers`.
    conditions : mapping, optional
        What the sample was exposed to ("temperature": 450.0), and any motor.
    errors : mapping of str to float, optional
        Standard errors of ``numbers``, by the same names.

    Raises
    ------
    InputError
        If the file can't be written.
    """
    provenance = reconstruction.provenance
    values = {
        "kind": "crystal",
        "source": provenance.source,
        "started": provenance.started,
        "seconds": provenance.seconds,
        **quality_numbers(reconstruction.quality),
        "numbers": dict(numbers),
        "errors": dict(errors or {}),
        "conditions": dict(conditions or {}),
    }
    with replacing(path) as unfinished:
        unfinished.write_text(to_json(values) + "\n", encoding="utf-8")
    return path


def quality_numbers(quality: Quality) -> dict[str, Any]:
    """Return the figures of a quality record that a table shows."""
    return {
        "chi": quality.chi,
        "trusted": quality.trusted,
        "n_starts": quality.n_starts,
        "n_agreeing": quality.n_agreeing,
        "agreement": quality.agreement,
        "phase_spread_rad": quality.phase_spread_rad,
    }


def read_numbers(path: Path) -> dict[str, Any]:
    """Read what `save_numbers` wrote.

    Raises
    ------
    InputError
        If the file is missing, damaged or something else.
    """
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read ({error})") from error
    if not isinstance(values, dict) or values.get("kind") != "crystal":
        raise InputError(f"{path}: not the numbers of a crystal")
    return values
