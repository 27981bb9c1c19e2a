"""Where the frames that are read lie: inside the frames as recorded, and those on the detector's chip."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from friedel.core.errors import InputError

Region = tuple[int, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """The pixels of a scan.

    Attributes
    ----------
    recorded_yx : (int, int)
        Rows and columns of the frames as recorded.
    window : (int, int, int, int) or None
        Rows and columns ``(y0, y1, x0, x1)`` of the recorded frames that are read; None: all.
    region : (int, int, int, int) or None
        Rows and columns of the full chip that the recorded frames are; None: not known.
    """

    recorded_yx: tuple[int, int]
    window: Region | None = None
    region: Region | None = None

    def __post_init__(self) -> None:
        y0, y1, x0, x1 = self.window_in_frames
        rows, columns = self.recorded_yx
        if not (0 <= y0 < y1 <= rows and 0 <= x0 < x1 <= columns):
            raise InputError(
                f"window rows {y0}:{y1}, columns {x0}:{x1} doesn't lie in frames of {rows} × {columns}; "
                "give (y0, y1, x0, x1)"
            )
        if self.region is not None:
            y0, y1, x0, x1 = self.region
            if (y1 - y0, x1 - x0) != self.recorded_yx:
                raise InputError(
                    f"region rows {y0}:{y1}, columns {x0}:{x1} isn't as large as the frames, {rows} × {columns}; "
                    "give (y0, y1, x0, x1) of the full chip"
                )

    @property
    def window_in_frames(self) -> Region:
        """What is read, in pixels of the recorded frames."""
        return self.window or (0, self.recorded_yx[0], 0, self.recorded_yx[1])

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of what is read."""
        y0, y1, x0, x1 = self.window_in_frames
        return y1 - y0, x1 - x0

    @property
    def on_chip(self) -> Region:
        """What is read, in pixels of the full chip; the recorded frames begin at 0, 0 where nothing else is known."""
        y0, y1, x0, x1 = self.window_in_frames
        first_y, _, first_x, _ = self.region or (0, 0, 0, 0)
        return y0 + first_y, y1 + first_y, x0 + first_x, x1 + first_x

    @property
    def middle_of_recorded(self) -> tuple[float, float]:
        """Centre of the recorded frames, counted from the first pixel that is read."""
        y0, _, x0, _ = self.window_in_frames
        return (self.recorded_yx[0] - 1) / 2 - y0, (self.recorded_yx[1] - 1) / 2 - x0

    def cut(self, image: NDArray[Any]) -> NDArray[Any] | None:
        """Return an image of the chip, the recorded frames or the window, cut to the window; None if it is neither."""
        if image.shape == self.shape:
            return image
        y0, y1, x0, x1 = self.window_in_frames if image.shape == self.recorded_yx else self.on_chip
        found = image[y0:y1, x0:x1]
        return found if found.shape == self.shape else None
