"""The plan of a merge: which frames, which detector, how to orient, what to write. Runs nothing."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from friedel.core.options import Options
from friedel.core.plan import Plan


class DensityOptions(Options):
    """The density from the merged intensity."""

    write: bool = True
    """Phase the intensity and write the density."""
    starts: Annotated[int, Field(ge=1, le=200)] = 6
    """Independent starts; the best half of them is averaged."""
    positive: bool = True
    """The density has no negative values."""


class MergePlan(Plan):
    """Everything that decides a merged intensity; only frames and detector must be named."""

    command: ClassVar[str] = "friedel merge"
    run_it: ClassVar[str] = "friedel merge --plan plan.yaml -o DIR"

    frames: tuple[Path, ...] = ()
    """Frames of photons: ``.emc`` or Dragonfly's HDF5; several are taken as one run."""
    detector: Path | None = None
    """Dragonfly detector file (``.h5``, ``.dat``); None: ``NAME_detector.h5`` beside ``NAME.emc``."""
    detectors: tuple[Path, ...] = ()
    """Detector files, one a file of frames, where those were measured by different detectors, or by one at different
    places, or at different energies: q in one unit."""
    masks: tuple[Path, ...] = ()
    """Masks that differ from frame to frame, one file a file of frames: ``.npy`` ``(n_frames, y, x)``, anything but 0
    where a pixel wasn't measured, or the frames' own formats, with a count there. The detector's mask holds beside."""
    distance: Annotated[float, Field(gt=0)] | None = None
    """Detector distance in pixels, for a detector file that is flat: bends it onto the Ewald sphere, with the pixels'
    solid angle."""
    polarisation: Literal["x", "y", "none"] | None = None
    """The beam's electric field, for a detector file whose weights don't hold the polarisation (those of `friedel
    classify` don't); None: they do."""
    blanks: tuple[Path, ...] = ()
    """Frames of the same run without a particle, in the same formats: they measure the background."""
    models: Annotated[int, Field(ge=1, le=10)] = 1
    """Particles, or conformations, that the frames show: more than one are told apart first, and each is merged from
    its own frames into a folder of its own (``particle_1`` is the most frequent), with a verdict of its own."""
    non_rotating: Annotated[int, Field(ge=0, le=10)] = 0
    """Patterns beside them that don't turn: blanks, stray light, a fixed glow. Frames that show one belong to no
    particle; ``still.h5`` has the patterns."""
    symmetry: str = "C1"
    """Point group imposed: C1 (none), Cn, Dn, T, O or I."""
    test_symmetry: bool = False
    """Ask which point groups the intensity has; needs an intensity made without symmetry."""
    diameter: Annotated[float, Field(gt=0)] | None = None
    """The particle's diameter, in inverse units of the detector's q; None: as frames and intensity show it. A particle
    with thin ends, or all alike inside, shows less of it than there is: say it where it is known."""
    starts: Annotated[int, Field(ge=1, le=50)] = 3
    """Tries that each half of the frames gets while the halves disagree or crowd on some view directions."""
    name_outliers: bool = True
    """Leave out, and name, frames that fit no orientation."""
    bootstrap: Annotated[int, Field(ge=0, le=500)] = 0
    """Draws of the frames, with replacement: they tell the errors of intensity and density. Each costs an iteration;
    twenty know an error to a sixth."""
    sentinels: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Frames drawn from one half's intensity in known orientations, and oriented by the other's."""
    compare: Path | None = None
    """A known structure to compare the density with: a map (``.mrc``), atoms (``.pdb``, ``.cif``), or a truth that
    `friedel simulate hits` leaves (``.h5``)."""
    compare_angstrom: Annotated[float, Field(gt=0)] = 1.0
    """Å in a unit of the density's length, the inverse of the detector's q; unneeded for a truth."""
    engine: Literal["auto", "harmonics", "plain"] = "auto"
    """How frames are compared with slices of the intensity: by angular "harmonics", where pixels lie on a cap that is
    symmetric around the beam; "plain", pixel by pixel, for any geometry, at ten times the time; "auto" looks."""
    refine: bool = True
    """Merge frames at their likeliest orientations, off the grid of views on which they are found."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of halves, starts and views."""
    density: DensityOptions = DensityOptions()
    """The density."""
    output: Path | None = None
    """Folder for the results; the command line's ``-o`` wins."""
