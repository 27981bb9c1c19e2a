"""What a page shows of a crystal: a provisional or final image as slices, a surface, figures and plain sentences.

Strain and surface come from the functions that make the final report. Nothing is phased here, and nothing drawn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.live.provisional import ProvisionalImage
from friedel.bcdi.records import CrystalImage, Provenance, Quality, Reconstruction
from friedel.bcdi.report.surface import surface_mesh
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.options import StrainOptions
from friedel.core.errors import FriedelError

PLANES: Mapping[str, int] = {"xy": 0, "xz": 1, "yz": 2}
"""Array axis that each plane cuts across."""
_AGREE = 0.95  # correlation, as in a final result's verdict (`friedel.bcdi.phasing.verdict.assess.MIN_AGREEMENT`)


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """Slices and surface of one object.

    Attributes
    ----------
    slices : mapping of str to (y, x) float32
        Amplitude through the middle, by plane ("xy", "xz", "yz").
    strain_slices : mapping of str to (y, x) float32
        What ``coloured_by`` names on the same planes, NaN outside the crystal.
    vertices : (n, 3) float32 or None
        The surface's corners, in ``unit``.
    faces : (m, 3) int32 or None
        Its triangles.
    vertex_strain : (n,) float32 or None
        What ``coloured_by`` names at each corner.
    coloured_by : str
        "strain (10⁻³)", or "phase (rad)" where the geometry isn't known.
    unit : str
        Of lengths: "nm", or "voxels" where the geometry isn't known.
    axes : tuple of str
        Names of the surface's directions x, y and z.
    """

    slices: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    strain_slices: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    vertices: NDArray[np.float32] | None = None
    faces: NDArray[np.int32] | None = None
    vertex_strain: NDArray[np.float32] | None = None
    coloured_by: str = "strain (10⁻³)"
    unit: str = "nm"
    axes: tuple[str, ...] = ("x", "y", "z")


@dataclass(frozen=True, eq=False, kw_only=True)
class CrystalView(Picture):
    """What a page shows of a crystal whose scan is being collected: a picture, how it came about, and words.

    Attributes
    ----------
    collected, expected : int
        Frames there, and frames the scan will have; expected is 0 while unknown.
    quality_frames, quality : (n,) float64
        Frames collected when each image was made, and its agreement with the image before (correlation, 0 … 1).
    label : str
        "N of M frames, provisional", or what it is otherwise.
    notes : tuple of str
        What is still uncertain, one sentence each.
    figures : mapping of str to float
        Quality figures of the latest image.
    settled : bool
        More frames stopped changing the answer.
    report : str
        Path, inside the run's folder, of the finished scan's report; empty while there is none.
    """

    collected: int = 0
    expected: int = 0
    quality_frames: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    quality: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    label: str = ""
    notes: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    settled: bool = False
    report: str = ""


@dataclass(frozen=True, kw_only=True)
class History:
    """When each image of a scan was made, and how much it differed from the one before.

    Attributes
    ----------
    frames : tuple of int
        Frames collected when each image was made.
    same : tuple of float
        Correlation of each image with the one before; NaN for the first.
    settled : bool
        Enough images in a row were the same.
    """

    frames: tuple[int, ...] = ()
    same: tuple[float, ...] = ()
    settled: bool = False

    def and_then(self, n_frames: int, same: float | None, *, enough: float, in_a_row: int) -> "History":
        """Return the history with one more image; it counts for the row only if it has new frames.

        Parameters
        ----------
        n_frames : int
            Frames collected when the image was made.
        same : float or None
            Its correlation with the image before, 0 to 1; None for the first.
        enough : float
            Correlation from which an image counts as unchanged.
        in_a_row : int
            Unchanged images, each with new frames, after which the history is settled.
        """
        frames, values = (*self.frames, n_frames), (*self.same, np.nan if same is None else same)
        grown = [(a, b) for a, b in zip(frames[1:], frames[:-1], strict=True)]
        latest = list(zip(grown, values[1:], strict=True))[-in_a_row:]
        settled = len(latest) == in_a_row and all(now > before and value >= enough for (now, before), value in latest)
        return History(frames=frames, same=values, settled=settled)


def waiting_view(collected: int, expected: int, why: str) -> CrystalView:
    """Return the view of a scan that has no image yet, and the sentence that says why."""
    of = f" of {expected}" if expected else ""
    return CrystalView(collected=collected, expected=expected, label=f"{collected}{of} frames", notes=(why,))


def provisional_view(image: ProvisionalImage, history: History, expected: int, notes: Sequence[str]) -> CrystalView:
    """Return the view of a provisional image.

    Parameters
    ----------
    image : ProvisionalImage
        The latest.
    history : History
        All up to it.
    expected : int
        Frames the scan will have; 0 while unknown.
    notes : sequence of str
        What else is to be said.
    """
    of = f" of {expected}" if expected else ""
    return view_of(
        picture(as_reconstruction(image)),
        history,
        collected=image.n_measured,
        expected=expected,
        label=f"{image.n_measured}{of} frames, provisional",
        notes=(*uncertainties(image, history), *notes),
        figures=_figures(image),
    )


def view_of(
    shown: Picture,
    history: History,
    *,
    collected: int,
    expected: int,
    label: str,
    notes: tuple[str, ...],
    figures: Mapping[str, float],
    report: str = "",
) -> CrystalView:
    """Return the view that a picture, a history and words make.

    Parameters
    ----------
    shown : Picture
        Slices and surface.
    history : History
        All images up to this one.
    collected, expected, label, notes, figures, report
        Fields of `CrystalView`.
    """
    return CrystalView(
        collected=collected,
        expected=expected,
        quality_frames=np.asarray(history.frames, dtype=np.float64),
        quality=np.asarray(history.same, dtype=np.float64),
        label=label,
        notes=notes,
        figures=figures,
        settled=history.settled,
        report=report,
        **vars(shown),
    )


def picture(reconstruction: Reconstruction, crystal: CrystalImage | None = None) -> Picture:
    """Return slices and surface of an object; slices alone if it has no surface.

    Parameters
    ----------
    reconstruction : Reconstruction
        The object.
    crystal : CrystalImage, optional
        Its analysis, if it has been made.
    """
    try:
        analysed = crystal or analyse(reconstruction, StrainOptions())
    except FriedelError:  # nothing stands out yet: the bare amplitude is shown
        return Picture(slices=_slices(reconstruction.amplitude), unit="voxels")
    known = analysed.strain is not None
    values = analysed.strain * 1e3 if analysed.strain is not None else _phase_inside(analysed)
    mesh = surface_mesh(reconstruction, analysed, analysed.bulk_amplitude)
    middle = _middle(analysed.support)
    return Picture(
        slices=_slices(analysed.amplitude, middle),
        strain_slices=_slices(values, middle),
        vertices=None if mesh is None else mesh.vertices,
        faces=None if mesh is None else mesh.triangles,
        vertex_strain=None if mesh is None else mesh.values,
        coloured_by="strain (10⁻³)" if known else "phase (rad)",
        unit="voxels" if mesh is None else mesh.unit,
        axes=("x", "y", "z") if mesh is None else mesh.axes,
    )


def as_reconstruction(image: ProvisionalImage) -> Reconstruction:
    """Return a provisional image as a record that the analysis takes; it is never marked as trusted."""
    quality = Quality(
        chi=image.chi,
        free_deviance=image.free_deviance,
        support_voxels=int(image.support.sum()),
        support_fraction=float(image.support.mean()),
        support_threshold=0.0,
        n_starts=1,
        n_agreeing=1,
        trusted=False,
        reasons=(f"provisional: {image.n_measured} of {image.n_frames} frames",),
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    how = Provenance(plan={}, seed=0, versions={}, source=image.pattern.name, started=now, seconds=image.seconds)
    return Reconstruction(
        object=image.object, support=image.support, quality=quality, provenance=how, grid=image.pattern.grid
    )


def uncertainties(image: ProvisionalImage, history: History) -> tuple[str, ...]:
    """Return what is still uncertain of an image, a sentence each."""
    sentences = []
    unknown = float(1 - image.pattern.mask.mean())
    if unknown > 0.01:
        sentences.append(f"{unknown:.0%} of the voxels round the peak are not measured yet, and are left open.")
    if image.agreement is not None and image.phase_spread_rad is not None:
        agree = "agree" if image.agreement >= _AGREE else "do not agree yet"
        sentences.append(
            f"Independent starts {agree} (correlation {image.agreement:.3f}, "
            f"phases {image.phase_spread_rad:.2f} rad apart)."
        )
    if history.settled:
        sentences.append("More frames no longer change the image.")
    elif image.same is not None:
        sentences.append(f"The last frames changed the image: correlation {image.same:.3f} with the one before.")
    return tuple(sentences)


def _figures(image: ProvisionalImage) -> dict[str, float]:
    figures = {"chi": image.chi, "free deviance": image.free_deviance, "seconds": image.seconds}
    if image.agreement is not None:
        figures["agreement"] = image.agreement
    return figures


def _middle(support: NDArray[np.bool_]) -> tuple[int, ...]:
    return tuple(round(float(places.mean())) for places in np.nonzero(support))


def _slices(volume: NDArray[np.floating], middle: tuple[int, ...] | None = None) -> dict[str, NDArray[np.float32]]:
    at = middle or tuple(n // 2 for n in volume.shape)
    return {name: np.take(volume, at[axis], axis=axis).astype(np.float32) for name, axis in PLANES.items()}


def _phase_inside(crystal: CrystalImage) -> NDArray[np.float32]:
    return np.where(crystal.support, crystal.phase, np.float32(np.nan)).astype(np.float32)
