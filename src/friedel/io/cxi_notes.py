"""The words in a CXI file: how the image was made, by which convention, and how good it is. No arrays."""

import h5py

from friedel.io.record_json import encode_record, plan_yaml, to_json
from friedel.records import Provenance, Reconstruction

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
