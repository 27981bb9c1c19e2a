"""What a merge leaves beside ``merged.h5``: frames as CSV, the summary, the density as a map and for 3D viewers."""

import base64
import csv
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from friedel._version import __version__
from friedel.core.files.atomic import replacing
from friedel.core.files.cxi_mask import CXI_VERSION
from friedel.core.optional import load_optional
from friedel.spi.density.phase import Density
from friedel.spi.merge.kinds import Kinds
from friedel.spi.merge.merged import Merged, MergeRun

_INSIDE_SUPPORT = 0x00010000  # of an image's mask, CXI 1.6, A.8 "Image"


def write_csv(path: Path, merged: Merged, photons: NDArray[np.floating]) -> None:
    """Write one line a frame: photons, used or not, orientation, fluence, fit."""
    with replacing(path) as unfinished, unfinished.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(
            ["frame", "photons", "used", "w", "x", "y", "z", "fluence", "fit", "surprise", "uncertainty_deg"]
        )
        for k, turn in enumerate(merged.orientations):
            figures = (merged.fluence[k], merged.fit[k], merged.surprise[k], np.degrees(merged.uncertainty[k]))
            numbers = [f"{value:.5g}" if np.isfinite(value) else "" for value in (*turn, *figures)]
            lines.writerow([k, int(photons[k]), int(merged.used[k]), *numbers])


def write_kinds(path: Path, share: NDArray[np.float32], kind: NDArray[np.int64]) -> None:
    """Write which frame shows which particle: one line a frame, 0 where none is probable enough.

    Parameters
    ----------
    path : Path
        The file.
    share : (n_frames, n_kinds)
        Probabilities.
    kind : (n_frames,)
        Numbers from 0; -1 for none.
    """
    with replacing(path) as unfinished, unfinished.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file)
        lines.writerow(["frame", "particle", *(f"p{number + 1}" for number in range(share.shape[1]))])
        for number, (shares, one) in enumerate(zip(share, kind, strict=True)):
            lines.writerow([number, int(one) + 1, *(f"{value:.4g}" if np.isfinite(value) else "" for value in shares)])


def write_still(path: Path, kinds: Kinds) -> None:
    """Write what doesn't turn: ``pattern`` (n_still, n_pixels), relative, and ``frames``, how many show each.

    Parameters
    ----------
    path : Path
        The file.
    kinds : Kinds
        With the patterns.
    """
    n = kinds.share.shape[1] - len(kinds.patterns)
    with replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        file.create_dataset("pattern", data=kinds.patterns, compression="gzip", compression_opts=1)
        file["frames"] = [int((kinds.kind == n + number).sum()) for number in range(len(kinds.patterns))]


def summary_of(run: MergeRun) -> dict[str, Any]:
    """Return the figures of a merge, for JSON and the report."""
    merged, density, comparison = run.merged, run.density, run.comparison
    quality, recovered = merged.quality, merged.quality.mean_recovered
    figures: dict[str, Any] = {
        "frames": len(merged.used),
        "used": int(merged.used.sum()),
        "outliers": merged.outliers.tolist(),
        "verdict": quality.verdict,
        "halves": round(quality.mean_halves, 4),
        "halves_by_chance": round(float(np.nanmean(quality.chance)), 4),
        "agreement": round(quality.agreement, 4),
        "view_directions_covered": round(quality.evenness, 4),
        "given_back_by_drawn_frames": None if recovered is None else round(recovered, 4),
        "evidence_nats_per_frame": round(quality.evidence, 4),
        "expected_correlation_with_truth": round(quality.mean_corrected, 4),
        "q_resolved": quality.q_resolved,
        "voxel": merged.voxel,
        "angular_uncertainty_deg": round(float(np.degrees(np.nanmedian(merged.uncertainty))), 3),
        "friedel": __version__,
        "notes": [list(note) for note in merged.notes],
    }
    if density is not None:
        figures["density"] = {
            "misfit": round(density.misfit, 4),
            "q_resolved": density.q_resolved,
            "voxel": density.voxel,
            "starts_in_the_mean": density.kept,
        }
    if run.symmetries:
        figures["symmetries"] = [
            {"group": one.group, "verdict": one.verdict, "turned": one.turned, "chance": one.chance}
            for one in run.symmetries
        ]
    if comparison is not None:
        figures["comparison"] = {
            "correlation": round(comparison.correlation, 4),
            "q_resolved": comparison.q_resolved,
            "q": comparison.q.tolist(),
            "fsc": [None if not np.isfinite(value) else round(value, 4) for value in comparison.fsc.tolist()],
        }
    return figures


def write_summary(path: Path, run: MergeRun) -> None:
    """Write the figures as JSON."""
    with replacing(path) as unfinished:
        text = json.dumps(summary_of(run), indent=1, ensure_ascii=False)
        unfinished.write_text(text, encoding="utf-8")


def write_map(path: Path, density: Density) -> None:
    """Write a density as an MRC/CCP4 map; the voxel's edge is in inverse units of the detector's q.

    Raises
    ------
    MissingDependencyError
        Without mrcfile.
    """
    mrcfile = load_optional("mrcfile", package="mrcfile", extra="spi", purpose="write MRC maps")
    with replacing(path) as unfinished, mrcfile.new(unfinished, overwrite=True) as file:
        file.set_data(np.ascontiguousarray(density.density))
        file.voxel_size = density.voxel


def write_volume(path: Path, density: Density) -> None:
    """Write density and support as a VTI image for ParaView; x runs fastest, the origin at the middle voxel."""
    n = density.density.shape[0]
    start = -(n // 2) * density.voxel
    arrays = {"density": ("Float32", density.density.astype("<f4")), "support": ("UInt8", density.support.astype("u1"))}
    if density.error is not None:
        arrays["error"] = ("Float32", density.error.astype("<f4"))
    parts = "".join(
        f'<DataArray type="{kind}" Name="{name}" format="binary">{_packed(values)}</DataArray>'
        for name, (kind, values) in arrays.items()
    )
    extent = f"0 {n - 1} 0 {n - 1} 0 {n - 1}"
    spacing = " ".join([f"{density.voxel:.9g}"] * 3)
    text = (
        '<?xml version="1.0"?><VTKFile type="ImageData" version="1.0" byte_order="LittleEndian" header_type="UInt64">'
        f'<ImageData WholeExtent="{extent}" Origin="{start:.9g} {start:.9g} {start:.9g}" Spacing="{spacing}">'
        f'<Piece Extent="{extent}"><PointData Scalars="density">{parts}</PointData></Piece></ImageData></VTKFile>'
    )
    with replacing(path) as unfinished:
        unfinished.write_text(text, encoding="ascii")


def write_cxi(path: Path, density: Density) -> None:
    """Write a density as a CXI 1.6 image, with its support as the mask.

    ``image_size`` is in inverse units of the detector's q: metres only if that is in cycles per metre.
    """
    with replacing(path) as unfinished, h5py.File(unfinished, "w") as file:
        file["cxi_version"], file["number_of_entries"] = CXI_VERSION, 1
        image = file.create_group("entry_1/image_1")
        file["entry_1/program_name"] = f"friedel {__version__}"
        image.create_dataset("data", data=density.density, compression="gzip", compression_opts=1)
        image["data_type"], image["data_space"], image["is_fft_shifted"] = "electron density", "real", 0
        image["mask"] = np.where(density.support, _INSIDE_SUPPORT, 0).astype(np.uint32)
        if density.error is not None:
            image.create_dataset("data_error", data=density.error, compression="gzip", compression_opts=1)
        image["image_size"] = np.full(3, density.voxel * density.density.shape[0])
        image["reconstruction/ret_prtf_q"], image["reconstruction/ret_prtf"] = density.q, density.prtf


def _packed(values: NDArray[Any]) -> str:
    data = values.tobytes()
    return base64.b64encode(np.uint64(len(data)).tobytes() + data).decode("ascii")
