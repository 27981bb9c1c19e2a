"""The plan of a simulated run of single-particle frames: a YAML file in which every key is known. Runs nothing."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field

from friedel.core.errors import PlanError
from friedel.core.machine.cluster import ClusterOptions
from friedel.core.options import Options
from friedel.core.plan import Plan
from friedel.spi.detectors import FRAME_DETECTORS
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.particles.assemblies import ASSEMBLIES
from friedel.spi.particles.particle import PARTICLES


class DetectorOptions(Options):
    """The detector's gaps and beam hole, and through its pixel and the binning the frame's pixel size."""

    name: str = "pnccd"
    """Which detector: pnccd, cspad, jungfrau4m, epix10k2m, agipd1m."""
    binning: Annotated[int, Field(ge=1)] | None = None
    """Detector pixels along the edge of a frame's pixel; None: so that the frame shows about all of the detector."""
    opening_px: Annotated[float, Field(ge=0)] | None = None
    """Detector pixels between its halves or quadrants at the beam; None: a typical opening."""
    geometry: Path | None = None
    """CrystFEL geometry file to take instead of the nominal panels (extra "particles")."""


class SampleFile(Options):
    """A particle from a file."""

    path: Path
    """PDB or mmCIF structure, MRC map, or 3D ``.npy`` density."""
    assembly: str | None = None
    """Biological assembly of a structure; None: the file's first."""
    voxel_size_angstrom: Annotated[float, Field(gt=0)] | None = None
    """Voxel edge of a map that doesn't know its own; without any, ``run.diameter_nm`` is its size."""
    n: Annotated[int, Field(ge=16, le=512)] = 64
    """Voxels along each edge of its box; more resolve finer detail, and take longer."""


class SimulationPlan(Plan):
    """Everything that decides a simulated run."""

    command: ClassVar[str] = "friedel simulate hits"
    run_it: ClassVar[str] = "friedel simulate hits --plan plan.yaml -o FILE.cxi"

    frames: Annotated[int, Field(ge=1)] = 1000
    """Frames in all."""
    run: ParticleRunOptions = ParticleRunOptions()
    """Beam, particles and what goes wrong; its seed decides every random choice."""
    detector: DetectorOptions | None = DetectorOptions()
    """The detector, which sets ``run.pixel_size_m``; None: a square that measures everywhere, with that pixel size."""
    samples: tuple[SampleFile, ...] = ()
    """Particles from files, taken in turn by chance instead of ``run.particles``."""
    cluster: ClusterOptions | None = None
    """Several processes or machines; None: this process alone. The frames are the same, bit by bit."""
    output: Path | None = None
    """File for the frames; the command line's ``-o`` wins."""

    def with_choices(
        self,
        *,
        frames: int | None = None,
        seed: int | None = None,
        workers: int | None = None,
        output: Path | None = None,
    ) -> Self:
        """Return the plan with what the command line chose; None leaves the plan's own choice.

        Parameters
        ----------
        frames : int, optional
            How many.
        seed : int, optional
            Seed of every random choice.
        workers : int, optional
            Processes; 1: none but this.
        output : Path, optional
            The file.
        """
        update: dict[str, Any] = {}
        if frames is not None:
            update["frames"] = frames
        if seed is not None:
            update["run"] = self.run.model_copy(update={"seed": seed})
        if workers is not None:
            update["cluster"] = ClusterOptions(workers=workers) if workers > 1 else None
        if output is not None:
            update["output"] = output.resolve()
        return self.model_copy(update=update)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a plan's file as `Plan.load`, and check its names."""
        plan = super().load(path)
        checked(plan)
        return plan


def checked(plan: SimulationPlan) -> SimulationPlan:
    """Return the plan if its names are known, before anything is computed.

    Raises
    ------
    PlanError
        If a particle or a detector is unknown, or there is no particle to draw.
    """
    known = (*PARTICLES, *ASSEMBLIES)
    unknown = [name for name in plan.run.particles if name not in known]
    if unknown or not (plan.run.particles or plan.samples):
        what = f"unknown particle(s) {', '.join(unknown)}" if unknown else "no particle is named"
        raise PlanError(f"run.particles: {what}; choose from: {', '.join(known)}")
    detector = plan.detector
    if detector is not None and detector.geometry is None and detector.name not in FRAME_DETECTORS:
        raise PlanError(f"detector.name: unknown {detector.name!r}; choose from: {', '.join(FRAME_DETECTORS)}")
    return plan
