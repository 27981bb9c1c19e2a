"""Reconstructions as CXI 1.6 files, and back. CXI is HDF5 with fixed names, in SI units throughout.

The names follow "The CXI File Format for Coherent X-ray Imaging", version 1.6 (F. R. N. C. Maia, cxidb.org;
Nature Methods 9, 854 (2012)), whose section of each class is cited below. What CXI has no name for stands beside
under plain names: ``voxel_basis`` (the grid may be skewed, ``image_size`` can't say so), ``support`` and the JSON
record from which `read_cxi` restores quality, provenance and starts.
"""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.geometry.instrument import ReciprocalGrid
from friedel.bcdi.records import CrystalErrors, CrystalImage, Diffraction, Provenance, Reconstruction, Uncertainty
from friedel.bcdi.results.record_json import decode_record, decode_uncertainty, encode_record, plan_yaml, to_json
from friedel.core.errors import InputError
from friedel.core.files.cxi_mask import CXI_VERSION
from friedel.core.files.cxi_mask import INVALID as PIXEL_IS_INVALID
from friedel.core.units import ANGSTROM_PER_M, CHARGE_C, photon_energy_ev

# Bits of an image's mask, A.8 "Image".
PIXEL_INSIDE_SUPPORT = 0x00010000
RECORD = "entry_1/result_1/note_1/data"


def write_cxi(
    path: Path,
    reconstruction: Reconstruction,
    *,
    diffraction: Diffraction | None = None,
    crystal: CrystalImage | None = None,
) -> None:
    """Write the object as ``image_1``; the measured intensities and the crystal's image, if given, as the next ones.

    Parameters
    ----------
    path : Path
        The file; it must not be open elsewhere.
    reconstruction : Reconstruction
        ``image_1``.
    diffraction : Diffraction, optional
        Its intensities become the next image.
    crystal : CrystalImage, optional
        The object in the laboratory, with displacement and strain.

    Raises
    ------
    OSError
        If the file can't be written.
    """
    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        _fill(file, reconstruction, diffraction, crystal)
        file.flush()
        image = file.id.get_file_image()
    # Assembled in memory, because HDF5 brings the interpreter down when the disk fills up under an open file.
    path.write_bytes(image)


def _fill(
    file: h5py.File, reconstruction: Reconstruction, diffraction: Diffraction | None, crystal: CrystalImage | None
) -> None:
    file["cxi_version"] = CXI_VERSION
    file["number_of_entries"] = 1
    entry = file.create_group("entry_1")
    entry["title"] = f"Reconstruction of {reconstruction.provenance.source}"
    entry["program_name"] = "friedel"
    entry["sample_1/name"] = reconstruction.provenance.source
    _write_source(entry, reconstruction.grid)
    _write_object(_next_image(entry), reconstruction)
    if diffraction is not None:
        _write_intensities(_next_image(entry), diffraction)
    if crystal is not None:
        _write_crystal(_next_image(entry), crystal)
    write_result(entry.create_group("result_1"), reconstruction)


def read_cxi(path: Path) -> Reconstruction:
    """Read a reconstruction that `write_cxi` wrote.

    Raises
    ------
    InputError
        If the file is damaged or another program wrote it.
    """
    try:
        with h5py.File(path, "r") as file:
            record = file[RECORD][()].decode()
            quality, provenance, starts = decode_record(record)
            image = file["entry_1/image_1"]
            return Reconstruction(
                object=image["data"][()],
                support=(image["mask"][()] & PIXEL_INSIDE_SUPPORT).astype(bool),
                quality=quality,
                provenance=provenance,
                grid=_read_grid(image),
                starts=starts,
                uncertainty=decode_uncertainty(record, image),
            )
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, AttributeError) as error:
        hint = "read a volume of another program with the plain-volume reader, or write this one again"
        raise InputError(f"{path}: not a reconstruction written by friedel ({error}); {hint}") from error


def _write_object(image: h5py.Group, reconstruction: Reconstruction) -> None:
    obj, grid = reconstruction.object, reconstruction.grid
    data = _volume(image, "data", obj)
    data.attrs["long_name"] = "complex object; the sum of its squared modulus is the number of photons"
    data.attrs["convention"] = CONVENTION
    image["data_type"] = "electron density"
    image["data_space"] = "real"
    mask = _volume(image, "mask", np.where(reconstruction.support, PIXEL_INSIDE_SUPPORT, 0).astype(np.uint32))
    mask.attrs["long_name"] = f"bit {PIXEL_INSIDE_SUPPORT:#x}: inside the support"
    _volume(image, "support", reconstruction.support.astype(np.uint8))
    if reconstruction.uncertainty is not None:
        _write_uncertainty(image, reconstruction.uncertainty)
    basis = reconstruction.voxel_basis_angstrom
    _write_frame(image, obj.shape, None if basis is None else basis / ANGSTROM_PER_M, "m")
    if grid is not None:
        _quantity(image, "reciprocal_basis", grid.basis * ANGSTROM_PER_M, "m^-1")
        _quantity(image, "q_bragg", grid.q_bragg * ANGSTROM_PER_M, "m^-1")
        _quantity(image, "wavelength", grid.wavelength_angstrom / ANGSTROM_PER_M, "m")
        image["source_1"] = h5py.SoftLink("/entry_1/instrument_1/source_1")
    write_process(image.create_group("process_1"), reconstruction.provenance)


def _write_uncertainty(image: h5py.Group, uncertainty: Uncertainty) -> None:
    phase = _volume(image, "phase_error", uncertainty.phase_rad, units="rad")
    phase.attrs["long_name"] = "standard error of the phase; NaN outside the support"
    amplitude = _volume(image, "amplitude_error", uncertainty.amplitude)
    amplitude.attrs["long_name"] = "standard error of the amplitude as a fraction of the bulk's"
    deviations = _volume(image, "deviations", uncertainty.deviations, axes="deviation:voxel")
    deviations.attrs["long_name"] = "square root of the covariance of data[support]: one row a deviation"


def _write_crystal(image: h5py.Group, crystal: CrystalImage) -> None:
    data = _volume(image, "data", crystal.object)
    data.attrs["long_name"] = f"complex object on cubic voxels, axes: {crystal.frame}"
    data.attrs["convention"] = CONVENTION
    image["data_type"] = "electron density"
    image["data_space"] = "real"
    _volume(image, "mask", np.where(crystal.support, PIXEL_INSIDE_SUPPORT, 0).astype(np.uint32))
    size = crystal.voxel_size_angstrom
    _write_frame(image, crystal.object.shape, None if size is None else np.eye(3)[::-1] * size / ANGSTROM_PER_M, "m")
    if crystal.displacement_angstrom is not None:
        _volume(image, "displacement", crystal.displacement_angstrom / np.float32(ANGSTROM_PER_M), units="m")
    if crystal.strain is not None:
        _volume(image, "strain", crystal.strain)
    if crystal.d_spacing_angstrom is not None:
        _volume(image, "d_spacing", crystal.d_spacing_angstrom / np.float32(ANGSTROM_PER_M), units="m")
    if crystal.errors is not None:
        _write_errors(image, crystal.errors, known_size=size is not None)
    if crystal.q_bragg is not None:
        _quantity(image, "q_bragg", crystal.q_bragg * ANGSTROM_PER_M, "m^-1")
    process = image.create_group("process_1")
    process["program"] = "friedel"
    process["comments"] = "\n".join(crystal.notes)


def _write_errors(image: h5py.Group, errors: CrystalErrors, *, known_size: bool) -> None:
    """Write standard errors under the name of what they belong to and ``_error``."""
    _volume(image, "phase_error", errors.phase_rad, units="rad")
    if errors.displacement_angstrom is not None:
        values = errors.displacement_angstrom / np.float32(ANGSTROM_PER_M)
        _volume(image, "displacement_error", values, units="m")
    if errors.strain is not None:
        _volume(image, "strain_error", errors.strain)
    if errors.d0_angstrom is not None:
        _quantity(image, "d0_error", errors.d0_angstrom / ANGSTROM_PER_M, "m")
    scale, unit = (1 / ANGSTROM_PER_M, "m") if known_size else (1.0, "voxel")
    _quantity(image, "diameter", errors.diameter * scale, unit)
    _quantity(image, "diameter_error", errors.diameter_error * scale, unit)


def _write_intensities(image: h5py.Group, diffraction: Diffraction) -> None:
    shape, grid = diffraction.intensities.shape, diffraction.grid
    _volume(image, "data", diffraction.intensities).attrs["long_name"] = "intensity, photons"
    image["data_type"] = "intensity"
    image["data_space"] = "diffraction"
    _volume(image, "mask", np.where(diffraction.mask, 0, PIXEL_IS_INVALID).astype(np.uint32))
    # "fractional pixels" counted from the outer corner of the first, so the middle of voxel n is n + 0.5 (x, y, z).
    image["image_center"] = np.array([n // 2 + 0.5 for n in shape[::-1]])
    _write_frame(image, shape, None if grid is None else grid.basis * ANGSTROM_PER_M, "m^-1")
    if grid is not None:
        _volume(image, "reciprocal_coordinates", _coordinates(shape, grid), axes="coordinate:z:y:x", units="m^-1")


def _write_frame(image: h5py.Group, shape: tuple[int, ...], basis: NDArray[np.float64] | None, unit: str) -> None:
    """Write the size of the image and where its voxels lie; without geometry lengths are counted in voxels."""
    image["dimensionality"] = 3
    image["is_fft_shifted"] = 0
    steps, unit = (np.ones(3), "voxel") if basis is None else (np.linalg.norm(basis, axis=1), unit)
    _quantity(image, "image_size", (steps * shape)[::-1], unit)  # width, height, depth: x first
    for name, step, n in zip("zyx", steps, shape, strict=True):
        _quantity(image, name, (np.arange(n) - n // 2) * step, unit)
    if basis is not None:
        rows = _quantity(image, "voxel_basis", basis, unit)
        rows.attrs["long_name"] = "step along each array axis (z, y, x), one per row; laboratory components (x, y, z)"


def _write_source(entry: h5py.Group, grid: ReciprocalGrid | None) -> None:
    if grid is not None:
        source = entry.create_group("instrument_1/source_1")
        _quantity(source, "energy", photon_energy_ev(grid.wavelength_angstrom) * CHARGE_C, "J")


def _next_image(entry: h5py.Group) -> h5py.Group:
    """Return a new ``image_n`` with a ``data_n`` that links to it, as every CXI entry must have (A.4 "Data")."""
    number = 1 + sum(name.startswith("image_") for name in entry)
    data = entry.create_group(f"data_{number}")
    for name in ("data", "z", "y", "x"):  # the dimension scales must stand beside the data that name them
        data[name] = h5py.SoftLink(f"/entry_1/image_{number}/{name}")
    return entry.create_group(f"image_{number}")


def _coordinates(shape: tuple[int, ...], grid: ReciprocalGrid) -> NDArray[np.float32]:
    offsets = [(np.arange(n) - n // 2).astype(np.float32) for n in shape]
    mesh = np.meshgrid(*offsets, indexing="ij", sparse=True)
    basis = (grid.basis * ANGSTROM_PER_M).astype(np.float32)
    return np.stack([sum(mesh[k] * basis[k, component] for k in range(3)) for component in range(3)])


def _read_grid(image: h5py.Group) -> ReciprocalGrid | None:
    if "reciprocal_basis" not in image:
        return None
    return ReciprocalGrid(
        basis=image["reciprocal_basis"][()] / ANGSTROM_PER_M,
        q_bragg=image["q_bragg"][()] / ANGSTROM_PER_M,
        wavelength_angstrom=float(image["wavelength"][()]) * ANGSTROM_PER_M,
    )


def _volume(
    group: h5py.Group, name: str, values: NDArray[Any], *, axes: str = "z:y:x", units: str | None = None
) -> h5py.Dataset:
    dataset = group.create_dataset(name, data=values, compression="gzip", compression_opts=4, shuffle=True)
    dataset.attrs["axes"] = axes
    if units is not None:
        dataset.attrs["units"] = units
    return dataset


def _quantity(group: h5py.Group, name: str, value: Any, units: str) -> h5py.Dataset:
    dataset = group.create_dataset(name, data=value)
    dataset.attrs["units"] = units
    return dataset


CONVENTIONS = (
    ("arrays", "indexed (z, y, x), with the origin of both spaces at index n // 2 of every axis"),
    ("Fourier transform", "F(q) = Σ ψ(r) exp(−i q·r)"),
    ("phase", "−h·u, with h the scattering vector and u the displacement; along h the displacement is −phase/|h|"),
    ("shift", "the support's centre of mass is at the origin"),
    ("ramp", "the amplitude-weighted mean phase gradient is zero: strain is relative to the crystal's mean lattice"),
    ("global phase", "the amplitude-weighted mean of ψ is real and positive"),
    (
        "twin",
        "intensities can't tell ψ(r) from ψ*(−r); of the two, the one whose density has the positive third moment "
        "along the axis where that moment is largest",
    ),
)
CONVENTION = ". ".join(f"{name}: {rule}" for name, rule in CONVENTIONS)


def write_process(process: h5py.Group, provenance: Provenance) -> None:
    """Write how the image was made (CXI 1.6, A.13 "Process"): plan, seed, versions and what each step did."""
    process["program"] = "friedel"
    process["version"] = provenance.versions.get("friedel", "unknown")
    process["command"] = f"friedel.reconstruct(intensities, plan=<note_1>, seed={provenance.seed})"
    process["date"] = provenance.started
    process["comments"] = CONVENTION
    process["seed"] = provenance.seed
    seconds = process.create_dataset("duration", data=provenance.seconds)
    seconds.attrs["units"] = "s"
    steps = "\n".join(f"{step}: {text}" for step, text in provenance.notes)
    plan = plan_yaml(provenance.plan)
    _write_note(process.create_group("note_1"), "the complete plan, defaults included", "text/yaml", plan)
    _write_note(process.create_group("note_2"), "what each step did", "text/plain", steps)
    _write_note(process.create_group("note_3"), "versions", "application/json", to_json(provenance.versions))
    read = "\n".join(f"{name}: {text}" for name, text in provenance.read)
    _write_note(process.create_group("note_4"), "what was read", "text/plain", read)


def write_result(result: h5py.Group, reconstruction: Reconstruction) -> None:
    """Write the quality (CXI 1.6, A.14 "Result"): numbers as datasets, all of it again as JSON."""
    quality = reconstruction.quality
    result["description"] = "quality of image_1; chi is the normalised amplitude residual over measured voxels"
    for name, value in quality.as_dict().items():
        if isinstance(value, bool | int | float):
            result[name] = value
    result["reasons"] = list(quality.reasons) if quality.reasons else h5py.Empty(h5py.string_dtype())
    description = "quality, provenance and starts, from which friedel restores the reconstruction"
    _write_note(result.create_group("note_1"), description, "application/json", encode_record(reconstruction))


def _write_note(note: h5py.Group, description: str, mime_type: str, text: str) -> None:
    note["description"] = description
    note["type"] = mime_type
    note["data"] = text
