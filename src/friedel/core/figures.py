"""How every figure looks: colours and maps that colour-blind readers can tell apart, scale bars, plain axes.

The maps are perceptually uniform. Phase gets a cyclic one (−π and π are the same colour), signed quantities a diverging
one whose middle is zero. No rainbow, and no red against green.
"""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

AMPLITUDE_MAP = "cividis"
PHASE_MAP = "twilight_shifted"
SIGNED_MAP = "RdBu_r"
INTENSITY_MAP = "cividis"

INK = "#22262b"
FAINT = "#8a9099"
OUTSIDE = "#d3d7dc"
# Okabe and Ito's colours, told apart by all common kinds of colour vision (jfly.uni-koeln.de/color).
BLUE, ORANGE, VERMILION = "#0072b2", "#e69f00", "#d55e00"

# Size of the type of axes' names, and of ticks and scale bars, points: reports show figures at their own size.
TEXT_POINTS = 9.0
SMALL_POINTS = 8.0


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure, inches, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def plain_axes(axes: Axes, *, x: str, y: str) -> None:
    """Name the axes of a graph and leave only the two lines that carry numbers."""
    axes.set_xlabel(x, fontsize=TEXT_POINTS, color=INK)
    axes.set_ylabel(y, fontsize=TEXT_POINTS, color=INK)
    axes.tick_params(labelsize=SMALL_POINTS, colors=INK, length=3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(visible=True, color="#eceef0", linewidth=0.7)
    axes.set_axisbelow(True)


def round_length(about: float) -> float:
    """Return the length of the form 1, 2 or 5 times a power of ten that is nearest below ``about``."""
    power = 10.0 ** math.floor(math.log10(about))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= about * (1 + 1e-9))


def add_scale_bar(axes: Axes, unit: str) -> float:
    """Draw a bar of a round length, a quarter of the picture or a little less, and return its length.

    Parameters
    ----------
    axes : Axes
        A picture whose data coordinates are lengths in ``unit``.
    unit : str
        "nm", or "voxels" where the geometry is unknown.
    """
    (left, right), (bottom, top) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    length, width, height = round_length((right - left) / 4), right - left, top - bottom
    start, base = left + 0.05 * width, bottom + 0.06 * height
    axes.add_patch(Rectangle((start, base), length, 0.018 * height, facecolor=INK, edgecolor="white", linewidth=0.6))
    axes.annotate(
        f"{length:g} {unit}",
        (start, base + 0.018 * height),
        xytext=(0, 2),
        textcoords="offset points",
        fontsize=SMALL_POINTS,
        color=INK,
        path_effects=[withStroke(linewidth=2, foreground="white")],
    )
    return length
