"""How far a reconstruction can be trusted: figures, curves and the reasons in words."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, kw_only=True)
class Curve:
    """A figure over spatial frequency.

    Attributes
    ----------
    frequency : (n,) float64
        Cycles per voxel, or per ångström if ``unit`` says so.
    value : (n,) float64
        The figure at each frequency; NaN where there was nothing to compare.
    threshold : (n,) float64
        The criterion's line.
    criterion : str
        Its name ("1/e", "half-bit").
    unit : str
        Unit of ``frequency``.
    """

    frequency: NDArray[np.float64]
    value: NDArray[np.float64]
    threshold: NDArray[np.float64]
    criterion: str
    unit: str = "cycles/voxel"


@dataclass(frozen=True, eq=False, kw_only=True)
class Quality:
    """Figures of one reconstruction. None means: not measured in this run.

    Attributes
    ----------
    chi : float
        ‖s·|F| − √I‖ / ‖√I‖ over measured voxels with the best scale s.
    chi_free : float or None
        The same over voxels held out of the fit that chose the support.
    free_deviance : float or None
        Mean Poisson deviance per held-out voxel (about 1 where the model explains the photons).
    support_voxels : int
        Size of the support.
    support_fraction : float
        The same as a fraction of the box.
    support_threshold : float
        Threshold, as a fraction of the bulk amplitude, at which the support was cut.
    n_starts, n_agreeing : int
        Independent starts, and those that reached the chosen solution.
    noise_factor : float or None
        Mean Poisson deviance on held-out voxels over what photon noise gives the right model; 1 is the limit.
    agreement : float or None
        Median correlation between agreeing starts, after alignment.
    phase_spread_rad : float or None
        RMS phase difference between agreeing starts where the amplitude is at least half the bulk's.
    mode_fractions : tuple of float
        Share of each mode of the decomposition over the agreeing starts, largest first.
    prtf, fsc : Curve or None
        Phase-retrieval transfer function; Fourier shell correlation between independent halves.
    resolution_nm : mapping of str to float, or None
        Resolution per laboratory axis and criterion ("prtf x": 12.1); in voxels under "… voxels" without geometry.
    isosurface_level : float
        Amplitude, as a fraction of the bulk's, at which the surface is drawn.
    phase_error_rad : float or None
        Standard error of the phase, RMS over the crystal: how far the image is trusted, if it is.
    trusted : bool
        Whether the checks passed.
    reasons : tuple of str
        Each choice and each check in one sentence.
    """

    chi: float
    support_voxels: int
    support_fraction: float
    support_threshold: float
    n_starts: int
    n_agreeing: int
    trusted: bool
    reasons: tuple[str, ...]
    isosurface_level: float = 0.5
    chi_free: float | None = None
    free_deviance: float | None = None
    noise_factor: float | None = None
    agreement: float | None = None
    phase_spread_rad: float | None = None
    phase_error_rad: float | None = None
    mode_fractions: tuple[float, ...] = ()
    prtf: Curve | None = None
    fsc: Curve | None = None
    resolution_nm: dict[str, float] | None = None

    def counting(self, warnings: tuple[str, ...]) -> "Quality":
        """Return it with warnings about the input among the reasons: with one of them a result isn't trusted."""
        said = tuple(f"input: {text}" for text in warnings)
        return replace(self, trusted=self.trusted and not warnings, reasons=(*self.reasons, *said))

    def as_dict(self) -> dict[str, Any]:
        """Return plain Python values, ready for JSON; NaN becomes None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(inner) for inner in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return value.item() if isinstance(value, np.generic) else value
