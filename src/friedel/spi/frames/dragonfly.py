"""Dragonfly's own files, both ways: sparse photons (``.emc``, HDF5), detectors (``.h5``, ``.dat``). Judges nothing.

An ``.emc`` file begins with 1024 bytes: int32 numbers of frames and of pixels, and the kind: 0 sparse, 1 int32 frames,
2 float64 frames (files before 2020 leave 0). Sparse frames are laid out as `friedel.spi.frames.emc` says. In HDF5 the
datasets ``place_ones``, ``place_multi`` and ``count_multi`` hold one list of varying length a frame, or all frames' in
one line with their lengths in ``ones`` and ``multi``, which may stand beside lists, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.files.damage import DAMAGED

Floats = NDArray[np.float64]

_HEADER_BYTES = 1024  # of the format, as above
_INT = np.dtype("<i4")
_DENSE: dict[int, np.dtype[Any]] = {1: np.dtype("<i4"), 2: np.dtype("<f8")}


@dataclass(frozen=True, eq=False, kw_only=True)
class DragonflyDetector:
    """Where each pixel lies in reciprocal space.

    Attributes
    ----------
    q : (n_pixels, 3) float64
        (qx, qy, qz) in the file's unit, usually voxels.
    correction : (n_pixels,) float64
        Solid angle times polarisation.
    mask : (n_pixels,) uint8
        0 good, 1 good but not for orientations, 2 bad.
    distance, ewald_radius : float
        Detector distance in pixels and Ewald radius in the unit of q; 0 where the file doesn't say.
    """

    q: Floats
    correction: Floats
    mask: NDArray[np.uint8]
    distance: float = 0.0
    ewald_radius: float = 0.0


def read_photons(path: Path) -> sp.csr_matrix:
    """Read frames of photons from an ``.emc`` or Dragonfly HDF5 file.

    Returns
    -------
    (n_frames, n_pixels) csr_matrix of float32

    Raises
    ------
    InputError
        If the file is missing, truncated, or its places or counts make no sense.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        frames = _read_hdf5(path) if h5py.is_hdf5(path) else _read_emc(path)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(f"{path}: not a file of Dragonfly's photons ({error})") from None
    if not np.isfinite(frames.data).all() or (frames.data < 0).any():
        raise InputError(f"{path}: photon numbers that are negative or not finite; is this file damaged?")
    return frames


def _read_emc(path: Path) -> sp.csr_matrix:
    size = path.stat().st_size
    header = np.fromfile(path, _INT, 3)
    if size < _HEADER_BYTES or len(header) < 3 or header[0] < 0 or header[1] <= 0 or not 0 <= header[2] <= 2:
        raise InputError(f"{path}: not an .emc file: its header names {header.tolist()} frames, pixels and kind")
    n_frames, n_pixels, kind = (int(v) for v in header)
    if kind:
        dtype = _DENSE[kind]
        _check_size(path, _HEADER_BYTES + n_frames * n_pixels * dtype.itemsize, n_frames)
        dense = np.memmap(path, dtype, "r", _HEADER_BYTES, (n_frames, n_pixels))
        blocks = [sp.csr_matrix(dense[i : i + 256].astype(np.float32)) for i in range(0, n_frames, 256)]
        return sp.csr_matrix(sp.vstack(blocks)) if blocks else sp.csr_matrix((0, n_pixels), dtype=np.float32)
    _check_size(path, _HEADER_BYTES + 8 * n_frames, n_frames)
    numbers = np.fromfile(path, _INT, offset=_HEADER_BYTES)
    ones, multi = numbers[:n_frames].astype(np.int64), numbers[n_frames : 2 * n_frames].astype(np.int64)
    if (ones < 0).any() or (multi < 0).any():
        raise InputError(f"{path}: negative numbers of pixels in a frame; this file is damaged")
    _check_size(path, _HEADER_BYTES + 4 * (2 * n_frames + int(ones.sum() + 2 * multi.sum())), n_frames)
    single, several, counts = np.split(numbers[2 * n_frames :], np.cumsum([ones.sum(), multi.sum()]))
    return _assemble(path, (ones, multi), (single, several, counts[: multi.sum()]), n_pixels)


def _check_size(path: Path, expected: int, n_frames: int) -> None:
    size = path.stat().st_size
    if size < expected:
        raise InputError(
            f"{path}: truncated: {n_frames} frames need {expected} bytes, it has {size}; copy the file again"
        )


def _assemble(path: Path, lengths: Sequence[Any], parts: Sequence[Any], n_pixels: int) -> sp.csr_matrix:
    (ones, multi), (single, several, counts) = lengths, parts
    n_frames = len(ones)
    there, told = (len(single), len(several), len(counts)), (int(ones.sum()), int(multi.sum()), int(multi.sum()))
    if there != told or min(*ones, *multi, 0) < 0 or len(multi) != n_frames:
        raise InputError(
            f"{path}: its frames need {told[0]} places of one photon, {told[1]} of more and {told[2]} counts, it has "
            f"{there[0]}, {there[1]} and {there[2]}; is this file damaged?"
        )
    places = np.concatenate([single, several])
    if len(places) and (places.min() < 0 or places.max() >= n_pixels):
        raise InputError(f"{path}: a photon at pixel {places.max()} of {n_pixels}; this file is damaged")
    frame = np.concatenate([np.repeat(np.arange(n_frames), ones), np.repeat(np.arange(n_frames), multi)])
    photons = np.concatenate([np.ones(len(single), np.float32), np.asarray(counts, np.float32)])
    return sp.csr_matrix((photons, (frame, places)), shape=(n_frames, n_pixels))


def _read_hdf5(path: Path) -> sp.csr_matrix:
    with h5py.File(path, "r") as file:
        n_pixels = int(np.prod(file["num_pix"][()]))
        single, several, counts = (file[name][()] for name in ("place_ones", "place_multi", "count_multi"))
        if single.dtype.kind != "O":
            return _assemble(path, (file["ones"][()], file["multi"][()]), (single, several, counts), n_pixels)
    lengths = [np.array([len(row) for row in rows], np.int64) for rows in (single, several)]
    parts = [np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64) for rows in (single, several, counts)]
    return _assemble(path, lengths, parts, n_pixels)


def write_photons_hdf5(path: Path, frames: sp.csr_matrix) -> None:
    """Write frames of whole photons as Dragonfly's sparse HDF5."""
    frames = sp.csr_matrix(frames)
    kind = h5py.vlen_dtype(np.dtype("i4"))
    with h5py.File(path, "w") as file:
        file["num_pix"] = np.array([frames.shape[1]], np.int32)
        sets = [file.create_dataset(n, (frames.shape[0],), kind) for n in ("place_ones", "place_multi", "count_multi")]
        for row in range(frames.shape[0]):
            part = slice(frames.indptr[row], frames.indptr[row + 1])
            places, counts = frames.indices[part], frames.data[part].astype(np.int32)
            sets[0][row], sets[1][row], sets[2][row] = places[counts == 1], places[counts > 1], counts[counts > 1]


def read_detector(path: Path) -> DragonflyDetector:
    """Read a detector file, HDF5 or text.

    Raises
    ------
    InputError
        If the file is missing, is no detector file, or holds a q that isn't finite.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such detector file; check the path")
    try:
        detector = _read_detector_hdf5(path) if h5py.is_hdf5(path) else _read_detector_text(path)
    except (OSError, KeyError, RuntimeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not a Dragonfly detector file ({error})") from None
    if not np.isfinite(detector.q).all():
        raise InputError(f"{path}: {int((~np.isfinite(detector.q)).any(1).sum())} pixels without a finite q")
    return detector


def _read_detector_hdf5(path: Path) -> DragonflyDetector:
    with h5py.File(path, "r") as file:
        return DragonflyDetector(
            q=np.stack([np.asarray(file[name][()], np.float64).ravel() for name in ("qx", "qy", "qz")], axis=1),
            correction=np.asarray(file["corr"][()], np.float64).ravel(),
            mask=np.asarray(file["mask"][()]).astype(np.uint8).ravel(),
            distance=float(file["detd"][()]) if "detd" in file else 0.0,
            ewald_radius=float(file["ewald_rad"][()]) if "ewald_rad" in file else 0.0,
        )


def _read_detector_text(path: Path) -> DragonflyDetector:
    try:
        with path.open() as file:
            head = [float(word) for word in file.readline().split()]
            table = np.loadtxt(file, ndmin=2)
    except ValueError as error:
        raise InputError(f"{path}: not a Dragonfly detector file ({error})") from None
    if not head or table.shape != (int(head[0]), 5):
        raise InputError(f"{path}: {table.shape} numbers where the first line, {head}, promises (n, 5)")
    return DragonflyDetector(
        q=table[:, :3],
        correction=table[:, 3],
        mask=table[:, 4].astype(np.uint8),
        distance=head[1] if len(head) > 2 else 0.0,
        ewald_radius=head[2] if len(head) > 2 else 0.0,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class DragonflyOutput:
    """What Dragonfly left of an iteration, ``output_NNN.h5``.

    Attributes
    ----------
    intensity : (n_modes, z, y, x) float64
        The merged intensities, origin at ``n // 2``.
    weight : (n_modes, z, y, x) float64 or None
        How often each voxel was hit.
    orientations : (n_frames,) int or None
        Number of each frame's most probable rotation in Dragonfly's sampling.
    scale, likelihood, mutual_information : (n_frames,) float64 or None
        Fluence, log-likelihood and mutual information with the orientations.
    """

    intensity: Floats
    weight: Floats | None
    orientations: NDArray[np.int64] | None
    scale: Floats | None
    likelihood: Floats | None
    mutual_information: Floats | None


def read_output(path: Path) -> DragonflyOutput:
    """Read Dragonfly's ``output_NNN.h5``.

    Raises
    ------
    InputError
        If the file is missing or holds no cubic ``intens``.
    """
    try:
        with h5py.File(path, "r") as file:
            names = ("intens", "inter_weight", "orientations", "scale", "likelihood", "mutual_info")
            found = {name: file[name][()] for name in names if name in file}
    except (OSError, RuntimeError) as error:
        raise InputError(f"{path}: not an output of Dragonfly ({error})") from None
    intensity = np.asarray(found.pop("intens", np.zeros(0)), np.float64)
    if intensity.ndim == 3:
        intensity = intensity[None]
    if intensity.ndim != 4 or len(set(intensity.shape[1:])) != 1:
        raise InputError(f"{path}: no cubic 'intens' in it; is this an output_NNN.h5 of Dragonfly's emc?")
    weight, orientations = found.get("inter_weight"), found.get("orientations")

    def column(name: str) -> Floats | None:
        return np.asarray(found[name], np.float64) if name in found else None

    return DragonflyOutput(
        intensity=intensity,
        weight=None if weight is None else np.asarray(weight, np.float64).reshape(intensity.shape),
        orientations=None if orientations is None else np.asarray(orientations, np.int64),
        scale=column("scale"),
        likelihood=column("likelihood"),
        mutual_information=column("mutual_info"),
    )


def write_detector(path: Path, detector: DragonflyDetector) -> None:
    """Write a detector file: text for ``.dat``, HDF5 otherwise."""
    if path.suffix == ".dat":
        head = f"{len(detector.q)} {detector.distance:.9g} {detector.ewald_radius:.9g}"
        table = np.column_stack([detector.q, detector.correction, detector.mask])
        np.savetxt(path, table, fmt=["%.9g"] * 4 + ["%d"], header=head, comments="")
        return
    with h5py.File(path, "w") as file:
        for name, column in zip(("qx", "qy", "qz"), detector.q.T, strict=True):
            file[name] = column
        file["corr"], file["mask"] = detector.correction, detector.mask
        file["detd"], file["ewald_rad"] = detector.distance, detector.ewald_radius
