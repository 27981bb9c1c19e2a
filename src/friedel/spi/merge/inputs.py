"""What a merge reads beside frames: Dragonfly's ``config.ini`` as a plan, and the detector of a selection, bent."""

import configparser
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from friedel.core.errors import InputError, PlanError
from friedel.spi.frames.dragonfly import DragonflyDetector, read_detector, read_photons

_LINK = ":::"
_SYMMETRIES = {"sym_icosahedral": "I", "sym_octahedral": "O"}
_OURS_ALONE = ("num_div", "need_scaling", "beta", "beta_schedule", "beta_factor", "alpha", "num_rot", "rot_per_beta")
"""What Dragonfly must be told and a merge finds: sampling and β follow from the speckles, the fluence is fitted."""


def settings_of(path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Read Dragonfly's ``config.ini`` as settings of a `MergePlan`.

    Returns
    -------
    settings : dict
        ``frames``, ``detector``, ``symmetry``, ``models``, ``non_rotating``, ``output``.
    unneeded : tuple of str
        What stands in ``[emc]`` and decides nothing here.

    Raises
    ------
    PlanError
        If the file can't be read, lacks a section, or a link (``section:::key``) leads nowhere.
    """
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise PlanError(f"{path}: not a config.ini of Dragonfly ({error})") from None
    if not parser.has_section("emc"):
        raise PlanError(f"{path}: no section [emc]; it has {', '.join(parser.sections()) or 'none'}")
    emc = {key: _linked(parser, path, value) for key, value in parser["emc"].items()}
    settings: dict[str, Any] = {"frames": _frames(path, emc)}
    if "in_detector_file" in emc:
        settings["detector"] = _beside(path, emc["in_detector_file"])
    imposed = [name for key, name in _SYMMETRIES.items() if emc.get(key, "0") not in ("0", "")]
    if imposed:
        settings["symmetry"] = imposed[0]
    for key, name in (("num_modes", "models"), ("num_nonrot_modes", "non_rotating")):
        if key in emc:
            settings[name] = emc[key]
    if "output_folder" in emc:
        settings["output"] = _beside(path, emc["output_folder"])
    return settings, tuple(key for key in _OURS_ALONE if key in emc)


def _linked(parser: configparser.ConfigParser, path: Path, value: str) -> str:
    for _ in range(8):  # a link may lead to another one; eight that follow each other go round in a circle
        if _LINK not in value:
            return value
        section, key = (part.strip() for part in value.split(_LINK, 1))
        if not parser.has_option(section, key):
            raise PlanError(f"{path}: {value!r} leads nowhere: there is no {key!r} in [{section}]")
        value = parser.get(section, key)
    raise PlanError(f"{path}: links go round in a circle at {value!r}")


def _frames(path: Path, emc: dict[str, str]) -> list[Path]:
    if "in_photons_list" in emc:
        names = _beside(path, emc["in_photons_list"])
        if not names.is_file():
            raise PlanError(f"{path}: no list of photons {names}")
        return [_beside(path, line.strip()) for line in names.read_text().splitlines() if line.strip()]
    return [_beside(path, emc["in_photons_file"])] if "in_photons_file" in emc else []


def _beside(path: Path, name: str) -> Path:
    return (path.parent / name).absolute()


def detector_for(
    frames: Path, given: Path | None, *, distance: float | None, polarisation: Literal["x", "y", "none"] | None
) -> DragonflyDetector:
    """Read the detector named, or the one beside the frames; bend it and weight it with polarisation, if asked.

    Parameters
    ----------
    frames : Path
        ``selection.emc``: `friedel classify` leaves ``selection_detector.h5`` beside it.
    given : Path, optional
        The detector that was named.
    distance : float, optional
        Detector distance in pixels; None: as the file says.
    polarisation : str, optional
        "x", "y" or "none" (`polarised`); None: as the file says.

    Raises
    ------
    PlanError
        If none was named and none lies there.
    InputError
        If it can't be bent or weighted.
    """
    beside = frames.with_name(f"{frames.stem}_detector.h5")
    if given is None and not beside.is_file():
        raise PlanError(
            f"name the detector of {frames.name} (there is no {beside.name} beside it): "
            "friedel merge FILE.emc --detector DET.h5 -o DIR"
        )
    detector = read_detector(given or beside)
    if distance is not None:
        detector = bent(detector, distance)
    return detector if polarisation is None else polarised(detector, polarisation)


def read_masks(path: Path) -> sp.csr_matrix:
    """Read masks of frames, ``(n_frames, n_pixels)``: anything but 0 where a pixel wasn't measured.

    Raises
    ------
    InputError
        If the file is missing, or holds neither masks as ``.npy`` nor counts as ``.emc`` or Dragonfly's HDF5.
    """
    if path.suffix != ".npy":
        return read_photons(path)
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: no array of masks ({error})") from None
    if found.ndim not in (2, 3) or found.dtype.kind not in "biu":
        raise InputError(f"{path}: an array {found.shape} of {found.dtype}; masks are whole numbers (n_frames, y, x)")
    return sp.csr_matrix(sp.vstack([sp.csr_matrix(one.reshape(1, -1) != 0, dtype=np.float32) for one in found]))


def bent(detector: DragonflyDetector, distance: float) -> DragonflyDetector:
    """Return a flat detector's pixels on the Ewald sphere, with their solid angle.

    Parameters
    ----------
    detector : DragonflyDetector
        With q in pixels from the beam and ``qz`` zero, as `friedel classify` writes it where no distance is known.
    distance : float
        Of the detector, in pixels.

    Raises
    ------
    InputError
        If the detector isn't flat: it has its geometry already.
    """
    x, y, z = detector.q.T
    if np.ptp(z) > 1e-6:
        raise InputError("the detector file's q lie on an Ewald sphere already; leave the distance out")
    cosine = distance / np.sqrt(x**2 + y**2 + distance**2)
    q = np.stack([x * cosine, y * cosine, distance * (cosine - 1)], axis=1)
    correction = detector.correction * cosine**3
    return replace(detector, q=q, correction=correction, distance=distance, ewald_radius=distance)


def polarised(detector: DragonflyDetector, field: Literal["x", "y", "none"]) -> DragonflyDetector:
    """Return a detector whose weights hold the polarisation 1 − (direction · field)² as well.

    Parameters
    ----------
    detector : DragonflyDetector
        On an Ewald sphere.
    field : str
        The beam's electric field: along "x", along "y", or "none" for an unpolarised beam.

    Raises
    ------
    InputError
        If the detector file doesn't say its Ewald radius.
    """
    if not detector.ewald_radius > 0:
        raise InputError("the detector file says no Ewald radius: give its distance in pixels beside the polarisation")
    x, y, _ = (detector.q / detector.ewald_radius).T
    along = {"x": x**2, "y": y**2, "none": (x**2 + y**2) / 2}[field]
    return replace(detector, correction=detector.correction * (1 - along))
