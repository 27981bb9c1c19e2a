"""Frames of a detector's modules, put together by a CrystFEL geometry: which pixel of a stack lies where.

Each pixel goes to the nearest of a square grid: for hits that is exact enough, and no intensity is changed.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import InputError
from friedel.core.optional import load_optional

# Frames longer than so many times their width are modules on top of each other; from so many times on it is asked.
_LONGEST, _LONG = 8, 3
_PANELS = {
    (8192, 128): "AGIPD 1M", (2048, 512): "DSSC", (4096, 256): "LPD", (4096, 1024): "JUNGFRAU 4M",
    (16384, 1024): "JUNGFRAU 16M", (1480, 1552): "CSPAD", (5920, 388): "CSPAD", (1480, 388): "quarter of a CSPAD",
    (370, 388): "CSPAD 140k", (5632, 384): "ePix10k 2M", (1408, 384): "ePix10k quad", (4096, 512): "MPCCD",
    (8192, 512): "MPCCD",
}  # fmt: skip
"""Rows and columns of frames in which a detector's panels lie one upon the other, as Cheetah and psana write them."""
_LARGEST = 8192  # pixels a side of an assembled frame: more means a geometry file in other units, not a detector


@dataclass(frozen=True, eq=False, kw_only=True)
class Assembly:
    """Where the pixels of modules lie in the assembled frame.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of the assembled frame.
    source, target : (k,) intp
        Numbers of pixels in a flattened stack of modules, and of their places in the flattened frame.
    centre : (float, float)
        Pixel (y, x) of the frame that the direct beam hits.
    """

    shape: tuple[int, int]
    source: NDArray[np.intp]
    target: NDArray[np.intp]
    centre: tuple[float, float]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """True where a pixel of a module lies, ``(y, x)``."""
        inside = np.zeros(self.shape[0] * self.shape[1], bool)
        inside[self.target] = True
        return inside.reshape(self.shape)

    def put_together(self, modules: NDArray[Any]) -> NDArray[Any]:
        """Return frames ``(n, y, x)`` from stacks ``(n, …)`` of modules; between them NaN, of whole numbers 0."""
        between = np.nan if modules.dtype.kind == "f" else 0
        frames = np.full((len(modules), self.shape[0] * self.shape[1]), between, modules.dtype)
        frames[:, self.target] = modules.reshape(len(modules), -1)[:, self.source]
        return frames.reshape(len(modules), *self.shape)


def require_whole(recorded: tuple[int, ...], name: str) -> None:
    """Raise InputError if frames of such a shape are a detector's panels, not put together.

    Parameters
    ----------
    recorded : tuple of int
        Shape of one frame as recorded.
    name : str
        File and dataset, for the message.

    Raises
    ------
    InputError
        It names the options that help.
    """
    panels = _PANELS.get((recorded[0], recorded[1])) if len(recorded) == 2 else None
    if panels is None and len(recorded) == 2 and max(recorded) < _LONGEST * min(recorded):
        return
    whose = f" of an {panels}" if panels and panels[0] in "AEeL" else f" of a {panels}" if panels else ""
    raise InputError(
        f"{name} holds frames of {' × '.join(str(n) for n in recorded)}: modules{whose} that aren't put together; "
        "name the detector's CrystFEL geometry with --geometry, or another dataset with --dataset"
    )


def odd_shape(recorded: tuple[int, ...]) -> tuple[str, ...]:
    """Return what is odd about frames of such a shape: far more rows than columns, as modules one upon the other have.

    Parameters
    ----------
    recorded : tuple of int
        Shape of one frame as recorded.
    """
    if len(recorded) != 2 or recorded[0] < _LONG * recorded[1]:
        return ()
    text = f"its frames have {recorded[0]} rows and {recorded[1]} columns: if these are modules that lie one upon the "
    return (text + "other, scores mean nothing until a geometry puts them together (--geometry)",)


def read_assembly(path: Path, stack: tuple[int, ...]) -> Assembly:
    """Read a geometry for stacks of modules.

    Parameters
    ----------
    path : Path
        CrystFEL geometry file.
    stack : tuple of int
        Shape of one frame as recorded: ``(modules, ss, fs)``, or ``(ss, fs)`` with all panels in one image.

    Raises
    ------
    InputError
        If the file isn't there, is no geometry, or describes frames of another shape.
    MissingDependencyError
        Without EXtra-geom.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such geometry file; check the path")
    parser = load_optional(
        "cfel_fmt.geometry", package="EXtra-geom", extra="spi", purpose="read detector geometry files"
    )
    try:
        detector = parser.load_crystfel_geometry(str(path)).detector
        panels, bad = detector["panels"], detector.get("bad") or {}
        n_modules = 1 + max((_module(panel) for panel in panels.values()), default=0)
        pieces = [(*_panel(panel, stack, n_modules), _good(name, panel, bad)) for name, panel in panels.items()]
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except (OSError, RuntimeError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a CrystFEL geometry ({error})") from None
    if not pieces:
        raise InputError(f"{path}: a CrystFEL geometry without panels; check the file")
    source, y, x, good = (np.concatenate(column) for column in zip(*pieces, strict=True))
    good &= ~_in_boxes(y, x, bad)
    if not good.any():
        raise InputError(f"{path}: all its panels and regions are bad; nothing is left")
    # Half-way positions all go the same way, so that pixels of a panel never meet in one place.
    rows, columns = (np.floor(values + 0.5 + 1e-6).astype(np.intp) for values in (y, x))
    first_y, first_x = int(rows.min()), int(columns.min())
    rows, columns = rows - first_y, columns - first_x
    shape = int(rows.max()) + 1, int(columns.max()) + 1
    if max(shape) > _LARGEST:
        raise InputError(f"{path}: its panels lie over {shape} pixels; that is no geometry of one detector")
    target = rows * shape[1] + columns
    return Assembly(shape=shape, source=source[good], target=target[good], centre=(-first_y - 0.5, -first_x - 0.5))


def _good(name: str, panel: dict[str, Any], bad: dict[str, Any]) -> NDArray[np.bool_]:
    """Return which of a panel's pixels no region of the geometry calls bad, by their places in the data."""
    ss, fs = np.mgrid[
        int(panel["orig_min_ss"]) : int(panel["orig_max_ss"]) + 1,
        int(panel["orig_min_fs"]) : int(panel["orig_max_fs"]) + 1,
    ]
    good = np.full(ss.size, not panel.get("no_index", False))
    for region in bad.values():
        if region["is_fsss"] and region["panel"] in ("", name):
            inside = (fs >= region["min_fs"]) & (fs <= region["max_fs"])
            good &= ~(inside & (ss >= region["min_ss"]) & (ss <= region["max_ss"])).ravel()
    return good


def _in_boxes(y: NDArray[Any], x: NDArray[Any], bad: dict[str, Any]) -> NDArray[np.bool_]:
    """Return which pixels lie in the geometry's bad regions of the laboratory, pixels from the beam."""
    inside = np.zeros(x.shape, bool)
    for region in bad.values():
        if not region["is_fsss"]:
            across = (x + 0.5 >= region["min_x"]) & (x + 0.5 <= region["max_x"])
            inside |= across & (y + 0.5 >= region["min_y"]) & (y + 0.5 <= region["max_y"])
    return inside


def _module(panel: dict[str, Any]) -> int:
    return next((int(part) for part in panel.get("dim_structure") or () if isinstance(part, int)), 0)


def _panel(
    panel: dict[str, Any], stack: tuple[int, ...], n_modules: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the numbers of a panel's pixels in the flattened stack, and their y and x, pixels from the beam."""
    low_ss, high_ss, low_fs, high_fs = (
        int(panel[f"orig_{end}_{axis}"]) for axis in ("ss", "fs") for end in ("min", "max")
    )
    n_rows, n_fs = int(np.prod(stack[:-1])), stack[-1]
    per_module = stack[-2] if len(stack) == 3 else n_rows // n_modules
    first = _module(panel) * per_module
    if first + high_ss >= n_rows or high_fs >= n_fs or (n_modules > 1 and high_ss >= per_module):
        wanted = f"module {_module(panel)}, ss {high_ss}, fs {high_fs}"
        raise InputError(f"it describes {wanted}, but frames were recorded as {stack}: it is another detector's")
    ss, fs = np.mgrid[low_ss : high_ss + 1, low_fs : high_fs + 1]
    down, across = ss - low_ss + 0.5, fs - low_fs + 0.5
    x = panel["cnx"] + across * panel["fsx"] + down * panel["ssx"] - 0.5
    y = panel["cny"] + across * panel["fsy"] + down * panel["ssy"] - 0.5
    return ((first + ss) * n_fs + fs).ravel().astype(np.intp), y.ravel(), x.ravel()
