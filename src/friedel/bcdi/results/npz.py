"""Reconstructions as NumPy archives: plain arrays and one JSON text, no pickles. For scripts; CXI is for others."""

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import Reconstruction
from friedel.bcdi.results.record_json import UNCERTAINTY_ARRAYS, decode_record, decode_uncertainty, encode_record
from friedel.core.errors import InputError

GRID = ("grid_basis", "grid_q_bragg", "grid_wavelength_angstrom")


def write_npz(path: Path, reconstruction: Reconstruction) -> None:
    """Write ``object`` (complex64), ``support`` (bool), the grid (Å⁻¹, Å) and ``record`` (JSON) to an archive.

    Where there are error bars: ``phase_error`` (rad), ``amplitude_error`` (of the bulk's amplitude) and ``deviations``.
    """
    arrays: dict[str, Any] = {
        "object": reconstruction.object,
        "support": reconstruction.support,
        "record": np.array(encode_record(reconstruction)),
    }
    grid = reconstruction.grid
    if grid is not None:
        arrays |= dict(zip(GRID, (grid.basis, grid.q_bragg, np.array(grid.wavelength_angstrom)), strict=True))
    if reconstruction.uncertainty is not None:
        arrays |= {name: getattr(reconstruction.uncertainty, field) for name, field in UNCERTAINTY_ARRAYS.items()}
    with path.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def read_npz(path: Path) -> Reconstruction:
    """Read a reconstruction that `write_npz` wrote.

    Raises
    ------
    InputError
        If the file is damaged or isn't such an archive.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            quality, provenance, starts = decode_record(str(archive["record"]))
            grid = None
            if GRID[0] in archive:
                basis, q_bragg, wavelength = (archive[name] for name in GRID)
                grid = ReciprocalGrid(basis=basis, q_bragg=q_bragg, wavelength_angstrom=float(wavelength))
            return Reconstruction(
                object=archive["object"],
                support=archive["support"],
                quality=quality,
                provenance=provenance,
                grid=grid,
                starts=starts,
                uncertainty=decode_uncertainty(str(archive["record"]), archive),
            )
    except (OSError, BadZipFile, EOFError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not a reconstruction written by friedel ({error}); write it again") from error
