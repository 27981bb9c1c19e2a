"""What a user may decide about the live image of a crystal."""

from pydantic import Field

from friedel.base.options import Options


class LiveCrystalOptions(Options):
    """How the provisional images of a scan that is being collected are made. None of it touches the final one."""

    seconds: float = Field(default=1.2, gt=0.0)
    """Time box of one provisional image: iterations stop there."""
    least_frames: int = Field(default=12, ge=4)
    """Frames before a first image is tried."""
    past_peak: int = Field(default=3, ge=1)
    """Frames that must have come on both sides of the brightest one: before, the peak's place is a guess."""
    object_voxels: int = Field(default=2500, ge=200)
    """The pattern's central part is used, just large enough that the object has about this many voxels."""
    members: int = Field(default=2, ge=1, le=16)
    """Independent objects kept going side by side: where they differ, the image is uncertain."""
    model: str | None = "default"
    """Weights of the network that makes the first guess: "default", a name or a path; None: random starts."""
    same: float = Field(default=0.99, gt=0.0, le=1.0)
    """Correlation between successive images from which an image counts as unchanged."""
    same_updates: int = Field(default=3, ge=1)
    """Unchanged images in a row, each with new frames, after which more frames are said to change nothing."""
