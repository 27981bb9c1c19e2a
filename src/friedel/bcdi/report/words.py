"""The report's sentences and tables: numbers rounded to their significant figures, each with its meaning."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from friedel.bcdi.records import CrystalImage, Quality, Reconstruction, Start
from friedel.core.observer import WARNING
from friedel.core.statistics import with_error
from friedel.core.units import ANGSTROM_PER_NM, photon_energy_ev


class FigureRow(NamedTuple):
    """A key figure: its name, its value with the unit, and what it means."""

    name: str
    value: str
    meaning: str


def verdict(quality: Quality) -> str:
    """Return the headline."""
    if not quality.trusted:
        return "A check failed: treat with caution"
    error = quality.phase_error_rad
    return "The checks passed: this image can be trusted" + ("" if error is None else f" to {error:.1g} rad")


def summary(quality: Quality) -> str:
    """Return the verdict's grounds in one or two sentences."""
    parts = [f"{quality.n_agreeing} of {quality.n_starts} independent starts reached this solution"]
    if quality.agreement is not None:
        parts.append(f"they agree with a median correlation of {quality.agreement:.3f}")
    fit = f"Its diffraction differs from the measured amplitudes by χ = {quality.chi:.3g}"
    if quality.chi_free is not None:
        fit += f", and by {quality.chi_free:.3g} where voxels were held out of the fit"
    finest = _finest(quality.resolution_nm)
    return f"{'; '.join(parts)}. {fit}.{finest}"


def figure_rows(reconstruction: Reconstruction, crystal: CrystalImage | None = None) -> list[FigureRow]:
    """Return the key figures, the ones a reader asks for first at the top; what wasn't measured is left out."""
    rows = [*_fit_rows(reconstruction.quality), *_agreement_rows(reconstruction.quality)]
    rows += _error_rows(reconstruction, crystal)
    return [*rows, *_size_rows(reconstruction), *_strain_rows(crystal), *_resolution_rows(reconstruction.quality)]


def truth_rows(truth: Mapping[str, float] | None) -> list[tuple[str, str]]:
    """Return figures against a known answer, rounded; empty if there is none."""
    return [(name, f"{value:.4g}") for name, value in (truth or {}).items()]


def start_rows(starts: Iterable[Start]) -> list[dict[str, Any]]:
    """Return the table of the starts, in their order."""
    return [
        {
            "chi": f"{start.chi:.4f}",
            "deviance": "–" if start.free_deviance is None else f"{start.free_deviance:.3f}",
            "support": _grouped(start.support_voxels),
            "correlation": "–" if math.isnan(start.correlation) else f"{start.correlation:.4f}",
            "chosen": start.chosen,
        }
        for start in starts
    ]


def step_rows(notes: Sequence[tuple[str, str]], crystal: CrystalImage | None = None) -> list[dict[str, Any]]:
    """Return the steps in order, the crystal's own last unless they are there already; a warning is marked."""
    told = {f"{step}: {text.removeprefix(WARNING)}" for step, text in notes}
    new = [] if crystal is None else [sentence for sentence in crystal.notes if sentence not in told]
    notes = [*notes, *((step, text) for step, _, text in (sentence.partition(": ") for sentence in new))]
    return [
        {"name": step, "text": text.removeprefix(WARNING), "warned": text.startswith(WARNING)} for step, text in notes
    ]


def _fit_rows(quality: Quality) -> list[FigureRow]:
    rows = [
        FigureRow("misfit χ", f"{quality.chi:.4f}", "relative distance between measured and reconstructed amplitudes"),
    ]
    if quality.chi_free is not None:
        meaning = "the same on voxels the fit never saw; much larger than χ would mean noise was fitted"
        rows.append(FigureRow("held-out χ", f"{quality.chi_free:.4f}", meaning))
    if quality.free_deviance is not None:
        meaning = "mean Poisson deviance on those voxels; about 1 where only photon noise is left"
        rows.append(FigureRow("held-out deviance", f"{quality.free_deviance:.3f}", meaning))
    if quality.noise_factor is not None:
        meaning = "misfit over what photon noise gives the right model; 1 is the limit"
        rows.append(FigureRow("from the limit", f"{quality.noise_factor:.2f} ×", meaning))
    return rows


def _agreement_rows(quality: Quality) -> list[FigureRow]:
    count = f"{quality.n_agreeing} of {quality.n_starts}"
    rows = [FigureRow("agreeing starts", count, "starts, each phased by itself, that ended in this solution")]
    if quality.agreement is not None:
        rows.append(FigureRow("correlation between starts", f"{quality.agreement:.4f}", "1 is the same image"))
    if quality.phase_spread_rad is not None:
        meaning = "how much the phase differs between agreeing starts, rms inside the crystal"
        rows.append(FigureRow("phase spread", f"{quality.phase_spread_rad:.3f} rad", meaning))
    if quality.mode_fractions:
        meaning = "share of the image that all agreeing starts have in common"
        rows.append(FigureRow("main mode", f"{quality.mode_fractions[0]:.1%}", meaning))
    return rows


def _error_rows(reconstruction: Reconstruction, crystal: CrystalImage | None) -> list[FigureRow]:
    uncertainty = reconstruction.uncertainty
    if uncertainty is None:
        return []
    parts = f"photon noise {uncertainty.photons_rad:.2g}, other solutions that fit {uncertainty.solutions_rad:.2g}"
    rows = [
        FigureRow(
            "phase error", f"{uncertainty.phase_rms_rad:.2g} rad", f"standard error, rms over the crystal: {parts}"
        ),
        FigureRow(
            "fit over photon noise", f"{uncertainty.misfit:.3g}", "1 where the pattern is explained to its noise"
        ),
    ]
    if crystal is None or crystal.errors is None:
        return rows
    errors, known = crystal.errors, crystal.voxel_size_angstrom is not None
    scale, unit = (ANGSTROM_PER_NM, "nm") if known else (1.0, "voxels")
    size = f"{with_error(errors.diameter / scale, errors.diameter_error / scale)} {unit}"
    rows.append(FigureRow("diameter", size, "of the sphere of the crystal's volume"))
    if crystal.d0_angstrom is not None and errors.d0_angstrom is not None:
        spacing = f"{with_error(crystal.d0_angstrom, errors.d0_angstrom)} Å"
        rows.append(
            FigureRow("mean spacing", spacing, "of the crystal's lattice planes; the angles' errors come on top")
        )
    for name, values, factor, unit in (
        ("displacement error", errors.displacement_angstrom, 1.0, "Å"),
        ("strain error", errors.strain, 1e3, "× 10⁻³"),
    ):
        if values is not None and np.isfinite(values).any():
            typical = factor * float(np.sqrt(np.nanmean(values.astype(np.float64) ** 2)))
            rows.append(FigureRow(name, f"{typical:.2g} {unit}", "standard error of a voxel, rms over the crystal"))
    return rows


def _size_rows(reconstruction: Reconstruction) -> list[FigureRow]:
    quality, grid, basis = reconstruction.quality, reconstruction.grid, reconstruction.voxel_basis_angstrom
    size = f"{_grouped(quality.support_voxels)} voxels"
    meaning = f"{quality.support_fraction:.2%} of the box, cut at {quality.support_threshold:.2g} of the bulk amplitude"
    rows = [FigureRow("support", size, meaning)]
    if grid is None or basis is None:
        return [*rows, FigureRow("voxel", "size unknown", "the geometry of the measurement was not given")]
    z, y, x = np.linalg.norm(basis, axis=1) / ANGSTROM_PER_NM
    energy = photon_energy_ev(grid.wavelength_angstrom) / 1000
    return [
        *rows,
        FigureRow("voxel", f"{z:.2f} × {y:.2f} × {x:.2f} nm", "step along the rocking, row and column axes"),
        FigureRow("Bragg spacing", f"{grid.d_spacing_angstrom:.4f} Å", f"2π/|h| at the peak, at {energy:.4g} keV"),
    ]


def _strain_rows(crystal: CrystalImage | None) -> list[FigureRow]:
    if crystal is None or crystal.strain is None or not crystal.support.any():
        return []
    inside = crystal.strain[crystal.support & np.isfinite(crystal.strain)] * 1e3
    low, high = np.percentile(inside, [1, 99]) if inside.size else (math.nan, math.nan)
    spread = float(np.std(inside)) if inside.size else math.nan
    rows = [
        FigureRow("strain, rms", f"{spread:.3g} × 10⁻³", "scatter of the lattice spacing about the crystal's mean"),
        FigureRow(
            "strain, range", f"{_signed(low)} to {_signed(high)} × 10⁻³", "all but the lowest and the highest percent"
        ),
    ]
    if crystal.turns is not None and crystal.turns.any():
        meaning = "voxels round which the phase turns by 2π; displacement has several values there, strain one"
        rows.append(FigureRow("dislocations", f"{int(crystal.turns.sum())} voxels", meaning))
    return rows


def _resolution_rows(quality: Quality) -> list[FigureRow]:
    grouped: dict[tuple[str, str], list[str]] = {}
    for name, value in (quality.resolution_nm or {}).items():
        if math.isfinite(value):
            criterion, *axis = name.removesuffix(" voxels").split(" ", 1)
            grouped.setdefault((criterion, _unit(name)), []).append(" ".join([*axis, f"{value:.3g}"]))
    return [
        FigureRow(f"resolution, {criterion.upper()}", f"{', '.join(values)} {unit}", _meaning(criterion))
        for (criterion, unit), values in grouped.items()
    ]


def _meaning(criterion: str) -> str:
    if criterion.lower() == "prtf":
        return "finest period that all agreeing starts reproduce, along each axis"
    return "finest period that two independent halves have in common"


def moment(iso: str) -> str:
    """Return an ISO 8601 time as a reader writes it; a text that isn't one stays as it is."""
    try:
        when = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return when.strftime("%Y-%m-%d %H:%M ") + (when.tzname() or "")


def _finest(resolution: Mapping[str, float] | None) -> str:
    finite = {name: value for name, value in (resolution or {}).items() if math.isfinite(value)}
    if not finite:
        return ""
    low, high = min(finite.values()), max(finite.values())
    unit = _unit(next(iter(finite)))
    if f"{low:.3g}" == f"{high:.3g}":
        return f" The resolution is {low:.3g} {unit}, by every criterion and along every axis."
    return f" The resolution is {low:.3g}–{high:.3g} {unit}, depending on axis and criterion."


def _unit(name: str) -> str:
    return "voxels" if name.endswith("voxels") else "nm"


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "−")


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
