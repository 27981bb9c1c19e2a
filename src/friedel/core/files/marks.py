"""Values that aren't counts: the marks which detectors and programs put at pixels that measured nothing.

A mark keeps its value through any conversion (2³² − 1 of an EIGER is 4294967296.0 in float32), so values decide here,
not types. Saturation, the highest value that a counter reaches, is told from a mark by `plateau`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The largest values of counters and types, and one less (an EIGER marks overflow with it), as they come out of float32.
LARGEST = (2**16 - 1, 2**31 - 2, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1, 2**64)
NEGATIVE = (-1.0, -2.0)  # as the CBF files of PILATUS detectors mark gaps and bad pixels
# More different negative whole numbers than this are a background subtracted, not marks.
MOST_NEGATIVE_MARKS = 3
# Nobody uses more large marks at once.
MOST_MARKS = 3
# A pixel that holds one value of at least 50 counts over 8 frames is stuck: the likeliest value of a Poisson mean of 50
# has probability 0.056, so 7 repetitions by chance have 0.056 ** 7 = 2e-9.
LEAST_STUCK = 50
LEAST_FRAMES = 8
# Of fewer negative values it can't be told whether they lie together. Of marks nearly all have the same beside them
# along an axis; of a noise's lowest values, each in less than a quarter of the voxels, fewer than half have.
LEAST_SCATTERED = 200
MOST_KEPT = 0.5
# Noise leaves a third of the dim voxels below a subtracted background, and one in fifty where both were measured with
# 0.02 photons a voxel. Voxels marked one by one, such as those of cosmic rays, are fewer than this share.
LEAST_NOISY = 0.01
# A mark that was divided by a monitor stands out of its frame by so many times. A peak that lies between pixels is
# shared by four of them, and where it is sampled as coarsely as a Bragg peak may be, 9 times brighter than the next.
OUTSTANDING = 10
_NEXT = ((np.s_[:-1], np.s_[1:]), (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:, :, :-1], np.s_[:, :, 1:]))
# Fewer voxels of exactly the same highest value can be chance.
LEAST_PLATEAU = 4


@dataclass(frozen=True, eq=False, kw_only=True)
class Marked:
    """What in an array is no count.

    Attributes
    ----------
    unknown : (…) bool or None
        True at marks; None: there are none.
    values : tuple of str
        The marks found ("NaN", "inf", "4294967295", "-1").
    """

    unknown: NDArray[np.bool_] | None = None
    values: tuple[str, ...] = ()


def find_marks(array: NDArray[Any], *, dark: NDArray[Any] | None = None) -> Marked:
    """Find the values that mark pixels without a measurement.

    NaN and inf; the largest value of a type or counter where it is the array's largest; whole negative numbers where
    there are few different ones; and a largest value that some pixels hold in every frame of several.

    Parameters
    ----------
    array : (n, y, x) or any other shape, any real dtype
        Raw values.
    dark : (y, x), optional
        What pixels hold without light; None: no more than the array's least value.
    """
    unknown, found = _not_finite(array)
    no_number = unknown
    for _ in range(MOST_MARKS):
        top = _largest(array, unknown)
        if top is None or not (_is_largest(top, array.dtype) or _stays(array, top)):
            break
        unknown = _with(unknown, array == array.dtype.type(top))
        found.append(f"{top:.0f}" if float(top).is_integer() else f"{top:g}")
    # A frame that was divided by one still holds the mark itself, which is known already.
    shared = _shared_top(array, no_number)
    if shared is not None and (unknown is None or (shared & ~unknown).any()):
        unknown = _with(unknown, shared)
        found.append("each frame's highest value, on the same pixels")
    stuck = _stuck(array, dark)
    if stuck is not None and (unknown is None or (stuck & ~unknown).any()):
        unknown = _with(unknown, stuck)
        found.append("one value in every frame")
    for value in _negative_marks(array):
        unknown = _with(unknown, array == value)
        found.append(f"{value:.0f}")
    return Marked(unknown=unknown, values=tuple(found))


def plateau(values: NDArray[Any], measured: NDArray[np.bool_] | None = None) -> float | None:
    """Return the value at which an array is clipped, or None: its largest one where too many voxels hold just that.

    A clipped peak shows as many voxels of exactly the highest value; unclipped counts differ by their Poisson noise.
    """
    top = float(values.max(initial=0) if measured is None else values[measured].max(initial=0))
    if not top > 0:
        return None
    near = values >= values.dtype.type(0.8 * top) if values.dtype.kind == "f" else values >= 0.8 * top
    if measured is not None:
        near = near & measured
    high = values[near]
    n_top, n_near = int((high == top).sum()), high.size
    whole = bool((high == np.round(high)).all())
    by_chance = 25 * n_near / top if whole else 0.2 * n_near
    return top if n_top >= LEAST_PLATEAU and n_top > by_chance + LEAST_PLATEAU - 1 else None


def _not_finite(array: NDArray[Any]) -> tuple[NDArray[np.bool_] | None, list[str]]:
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None, []
    nan, inf = np.isnan(array), np.isinf(array)
    return nan | inf, [name for name, where in (("NaN", nan), ("inf", inf)) if where.any()]


def _largest(array: NDArray[Any], unknown: NDArray[np.bool_] | None) -> Any:
    known = array if unknown is None else array[~unknown]
    top = known.max() if known.size else None
    return top if top is not None and top > 0 else None


def _is_largest(top: Any, dtype: np.dtype[Any]) -> bool:
    return int(top) == top and (int(top) in LARGEST or (dtype.kind in "iu" and int(top) == np.iinfo(dtype).max))


def _stays(array: NDArray[Any], top: Any) -> bool:
    """Tell whether some pixel holds the largest value in every frame, as a mark does and a count doesn't."""
    if array.ndim != 3 or len(array) < 3:
        return False
    # Two frames rule out most pixels before all are looked at.
    rows, columns = np.nonzero((array[0] == top) & (array[-1] == top))
    return rows.size > 0 and bool((array[:, rows, columns] == top).all(axis=0).any())


def _shared_top(array: NDArray[Any], unknown: NDArray[np.bool_] | None) -> NDArray[np.bool_] | None:
    """Return the voxels of pixels that all hold their frame's highest value, in every frame; None without.

    So look marks after frames were divided by a monitor each: the value differs from frame to frame, and is far above
    all others.
    """
    if array.ndim != 3 or len(array) < LEAST_FRAMES:
        return None
    known = array if unknown is None else np.where(unknown, array.dtype.type(0), array)
    rows, columns = np.nonzero(known[0] == known[0].max()) if known[0].max() > 0 else (np.zeros(0, int),) * 2
    if not LEAST_PLATEAU <= rows.size <= known[0].size // 2:
        return None
    tops = known.max(axis=(1, 2))
    same = (known[:, rows, columns] == tops[:, None]).all(axis=0) & bool((tops > 0).all())
    if same.sum() < LEAST_PLATEAU:
        return None
    shared = np.zeros(array.shape, bool)
    shared[:, rows[same], columns[same]] = True
    others = np.where(shared, array.dtype.type(0), known).max(axis=(1, 2))
    return shared if (tops >= OUTSTANDING * others.astype(np.float64)).all() else None


def _stuck(array: NDArray[Any], dark: NDArray[Any] | None) -> NDArray[np.bool_] | None:
    """Return the voxels of pixels that hold one large value in every frame, which photons never do; None without."""
    if array.ndim != 3 or len(array) < LEAST_FRAMES:
        return None
    middle = array[len(array) // 2]
    same = (array[0] == middle) & (array[-1] == middle) & (middle >= LEAST_STUCK)
    if not same.any():
        return None
    # Where no photon fell a pixel holds its dark value in every frame.
    level = max(float(np.fmin.reduce(array, axis=None)), 0.0) if dark is None else dark
    with np.errstate(invalid="ignore"):  # infinite values, which are marks already
        rows, columns = np.nonzero(same & (np.abs(middle.astype(np.float64) - level) >= LEAST_STUCK))
    same = (array[:, rows, columns] == middle[rows, columns]).all(axis=0)
    if not same.any() or same.sum() > middle.size // 2:
        return None
    unknown = np.zeros(array.shape, bool)
    unknown[:, rows[same], columns[same]] = True
    return unknown


def _negative_marks(array: NDArray[Any]) -> list[float]:
    if array.dtype.kind not in "if" or not array.size or not array.min() < 0:
        return []
    low = array[array < 0]
    whole = low[low == np.round(low)]
    different = np.unique(whole[:100_000])
    if whole.size == low.size:
        few = different.size <= MOST_NEGATIVE_MARKS
        return [float(value) for value in different] if few and not _scattered(array, whole.size) else []
    # Among fractions, the exact -1 or -2 of several voxels is no accident.
    return [value for value in NEGATIVE if (whole == value).sum() >= LEAST_PLATEAU]


def _scattered(array: NDArray[Any], n_negative: int) -> bool:
    """Tell whether negative values come and go from pixel to pixel and frame to frame, as noise does and marks don't.

    A mark holds a pixel in all frames, or all pixels of a frame or of a part of it, or voxels here and there.
    """
    if array.ndim != 3 or min(array.shape) < 2 or n_negative < max(LEAST_SCATTERED, LEAST_NOISY * array.size):
        return False
    low = array < 0
    kept = [float((low[one] & (array[one] == array[other])).sum()) / n_negative for one, other in _NEXT]
    return max(kept) < MOST_KEPT


def _with(unknown: NDArray[np.bool_] | None, more: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return more if unknown is None else unknown | more
