"""A merged intensity with its orientations, as a notebook holds it and as HDF5 keeps it."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from friedel._version import __version__
from friedel.core.errors import InputError
from friedel.core.files.atomic import replacing
from friedel.core.observer import Observer, silent
from friedel.spi.density.compare import Comparison
from friedel.spi.density.phase import Density, PhaseOptions, autocorrelation_diameter, phase_intensity
from friedel.spi.orient.quality import MergeQuality
from friedel.spi.orient.symmetry import Symmetry, symmetries
from friedel.spi.orient.volume import radii, spherical_mean


@dataclass(frozen=True, eq=False, kw_only=True)
class Merged:
    """The intensity of one particle in three dimensions, and every frame's place in it.

    Attributes
    ----------
    intensity : (z, y, x) float32
        Photons per frame and unit of the detector's weight; origin at ``n // 2``. Finite everywhere: where nothing was
        measured it is the estimate's continuation.
    exposure : (z, y, x) float32
        What a unit of intensity gave in each voxel, all frames together; 0 where nothing was measured.
    voxel : float
        Edge of a voxel, in the unit of the detector's q.
    orientations : (n_frames, 4) float32
        Quaternions (w, x, y, z) of the rotation that takes a pixel's q to the particle's; NaN for frames left out.
    fluence : (n_frames,) float32
        Relative to the mean of the frames used.
    likelihood : (n_frames,) float32
        Log-likelihood over all orientations, up to a constant by frame.
    fit, surprise : (n_frames,) float32
        Gain of the best orientation over the radial mean, relative to what the model promises (about 1), and the
        difference in standard deviations of chance; by the half that the frame isn't in.
    uncertainty : (n_frames,) float32
        Of the orientation, rad.
    used : (n_frames,) bool
        Frames in the intensity.
    halves : two (z, y, x) float32
        Intensities of the halves, from independent starts, the second turned onto the first; NaN where turned from
        outside.
    quality : MergeQuality
        Half sets by shell, resolution, verdict.
    error : (z, y, x) float32
        Standard deviation of the intensity over the bootstrap's draws; NaN without a bootstrap.
    profile, profile_error : (n_shells,) float32
        Mean of the intensity by shell of ``quality.q``, and its error by the bootstrap, or NaN.
    resampled : (n_draws, z, y, x) float32
        Intensities of the draws, in memory only: a density's errors follow from them.
    notes : tuple of (str, str)
        What was said along the way, (step, sentence).
    """

    intensity: NDArray[np.float32]
    exposure: NDArray[np.float32]
    voxel: float
    orientations: NDArray[np.float32]
    fluence: NDArray[np.float32]
    likelihood: NDArray[np.float32]
    fit: NDArray[np.float32]
    surprise: NDArray[np.float32]
    uncertainty: NDArray[np.float32]
    used: NDArray[np.bool_]
    halves: tuple[NDArray[np.float32], NDArray[np.float32]]
    quality: MergeQuality
    error: NDArray[np.float32]
    profile: NDArray[np.float32]
    profile_error: NDArray[np.float32]
    resampled: NDArray[np.float32]
    notes: tuple[tuple[str, str], ...] = field(default=())

    def __repr__(self) -> str:
        return (
            f"Merged({int(self.used.sum())} of {len(self.used)} frames in {self.intensity.shape[0]}³ voxels, halves "
            f"agree to {self.quality.mean_halves:.2f}: {self.quality.verdict})"
        )

    def _repr_png_(self) -> bytes:
        """Return the slices through the intensity's centre as Jupyter shows them."""
        from friedel.spi.merge.report import slices

        content = BytesIO()
        slices(self).savefig(content, format="png", dpi=90)
        return content.getvalue()

    @property
    def outliers(self) -> NDArray[np.int64]:
        """Numbers of the frames that have photons but fit no orientation, the worst first."""
        named = np.flatnonzero(~self.used & np.isfinite(self.fit))
        return named[np.argsort(self.fit[named])]

    def phase(
        self, options: PhaseOptions | None = None, *, diameter: float | None = None, observer: Observer = silent
    ) -> Density:
        """Return the particle's density.

        Parameters
        ----------
        options : PhaseOptions
            Starts, positivity, seed.
        diameter : float
            The particle's diameter, in inverse units of the detector's q; None: from the autocorrelation.
        observer : Observer
            Told the rounds.

        Raises
        ------
        InputError
            If the speckles aren't sampled.
        """
        n = self.intensity.shape[0]
        size = autocorrelation_diameter(self.intensity) if diameter is None else diameter * n * self.voxel
        return phase_intensity(
            self.intensity,
            self.exposure > 0,
            diameter=size,
            voxel=self.voxel,
            options=options,
            resampled=self.resampled,
            observer=observer,
        )

    def symmetries(self) -> list[Symmetry]:
        """Return for each point group whether the intensity has it, the largest first.

        The halves are compared under each group's operations; an intensity made under a symmetry has it by force.
        """
        relative = []
        for half in self.halves:
            values = torch.from_numpy(half)
            shell = radii(len(half)).round().long()
            known = torch.isfinite(values)
            mean = spherical_mean(values.nan_to_num(), known.float(), shell)
            relative.append(torch.where(known, values / mean[shell].clamp_min(1e-20), 1.0))
        measured = self.quality.q[np.isfinite(self.quality.halves)] / self.voxel
        q_max = float(measured.max())
        return symmetries(*relative, q_min=max(float(measured.min()), 0.12 * q_max), q_max=0.95 * q_max)

    def save(self, path: str | Path) -> None:
        """Write everything as HDF5: ``intensity``, ``voxel``, ``orientations``, … under the attributes' names."""
        with replacing(Path(path)) as unfinished, h5py.File(unfinished, "w") as file:
            file.attrs["creator"] = f"friedel {__version__}"
            for name in ("intensity", "exposure", "error"):
                file.create_dataset(
                    name, data=getattr(self, name), compression="gzip", compression_opts=1, shuffle=True
                )
            file["halves"] = np.stack(self.halves)
            file["voxel"] = self.voxel
            for name in ("orientations", "fluence", "likelihood", "fit", "surprise", "uncertainty", "used"):
                file[name] = getattr(self, name)
            file["profile"], file["profile_error"] = self.profile, self.profile_error
            quality = file.create_group("quality")
            quality["q"], quality["halves"] = self.quality.q, self.quality.halves
            quality["q_resolved"], quality["named"] = self.quality.q_resolved, self.quality.named
            quality["chance"] = self.quality.chance
            quality["evidence"] = [self.quality.evidence, self.quality.evidence_error]
            quality["evenness"] = self.quality.evenness
            if self.quality.recovered is not None:
                quality["recovered"] = self.quality.recovered
                quality["recovered_evenness"] = self.quality.recovered_evenness
            quality["verdict"] = self.quality.verdict
            file["notes"] = [f"{step}: {text}" for step, text in self.notes]

    @classmethod
    def load(cls, path: str | Path) -> "Merged":
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If the file is missing or isn't such a file.
        """
        try:
            with h5py.File(path, "r") as file:
                names = ("intensity", "exposure", "orientations", "fluence", "likelihood", "fit", "surprise")
                named = (*names, "uncertainty", "used", "error", "profile", "profile_error")
                arrays = {name: file[name][()] for name in named}
                marks = {
                    name: file["quality"][name][()]
                    for name in ("q", "halves", "chance", "q_resolved", "named", "evidence")
                }
                # Files of versions that didn't measure these lack them.
                asked = ("recovered", "recovered_evenness", "evenness")
                more: dict[str, Any] = {n: file["quality"][n][()] for n in asked if n in file["quality"]}
                notes = tuple(tuple(line.decode().split(": ", 1)) for line in file["notes"][()])
                halves, voxel = file["halves"][()], float(file["voxel"][()])
        except (OSError, KeyError) as error:
            raise InputError(f"{path}: not a merged intensity ({error})") from None
        quality = MergeQuality(
            q=marks["q"],
            halves=marks["halves"],
            chance=marks["chance"],
            q_resolved=float(marks["q_resolved"]),
            named=int(marks["named"]),
            evidence=float(marks["evidence"][0]),
            evidence_error=float(marks["evidence"][1]),
            **more,
        )
        none = np.zeros((0, *arrays["intensity"].shape), np.float32)
        return cls(**arrays, voxel=voxel, halves=(halves[0], halves[1]), quality=quality, resampled=none, notes=notes)


@dataclass(frozen=True, eq=False, kw_only=True)
class MergeRun:
    """What a merge left: the result, the density and its comparison if they were asked for, and the files by name.

    Where several particles were told apart it is the most frequent one's, and ``others`` has the others'.

    Of several processes, all but the first have the result alone.
    """

    merged: Merged
    density: Density | None = None
    comparison: Comparison | None = None
    symmetries: list[Symmetry] = field(default_factory=list)
    others: list["MergeRun"] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)


def quaternions(rotations: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rotation matrices ``(n, 3, 3)`` as quaternions (w, x, y, z); NaN stays NaN."""
    found = np.full((len(rotations), 4), np.nan, np.float32)
    known = np.isfinite(rotations).all((1, 2))
    if known.any():
        found[known] = np.roll(Rotation.from_matrix(rotations[known]).as_quat(), 1, axis=1)
    return found
