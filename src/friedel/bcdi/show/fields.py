"""The fields of a result as one looks at them: names, units, colours and limits. From records or from a file."""

import base64
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from friedel.bcdi.figures.surface import Colouring, Placing, scalar_mesh
from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.results.volumes import read_volumes, step_angstrom
from friedel.bcdi.strain.surface import find_isosurface
from friedel.core.errors import InputError
from friedel.core.figures import AMPLITUDE_MAP, INTENSITY_MAP, PHASE_MAP, SIGNED_MAP
from friedel.core.units import ANGSTROM_PER_M, ANGSTROM_PER_NM

Floats = NDArray[np.floating[Any]]

PATTERN = "measured pattern"
_LEVELS = 65534
"""Steps between the smallest and the largest value of a field on its way to the page; -32768 stands for NaN."""
_ROBUST = 99.0  # percentile at which a signed map's colours end: single surface voxels have far larger values


@dataclass(frozen=True, eq=False, kw_only=True)
class Field:
    """One quantity on a grid.

    Attributes
    ----------
    name : str
        As people call it ("strain").
    unit : str
        Of ``values`` as shown ("10⁻³", "pm", "rad"); "" for a plain number.
    values : (z, y, x) float32
        NaN where there is nothing to show.
    colours : str
        Matplotlib's name of the map.
    limits : (float, float)
        Values at the two ends of the map, to begin with.
    on_pattern : bool
        Lies on the measurement's own voxels instead of the crystal's.
    """

    name: str
    unit: str
    values: NDArray[np.float32]
    colours: str
    limits: tuple[float, float]
    on_pattern: bool = False


@dataclass(frozen=True, eq=False, kw_only=True)
class FieldSet:
    """All fields of one result.

    Attributes
    ----------
    title : str
        The result's name.
    fields : tuple of Field
        Of one grid, but for the measured pattern.
    inside : (z, y, x) bool
        The crystal.
    step : float
        Edge of a voxel in ``unit``.
    unit : str
        "nm", or "voxels" where the geometry isn't known.
    axes : (str, str, str)
        Names of the array's axes ``(z, y, x)``.
    about : dict of str to str
        Figures in words, in the order to show them.
    reasons : tuple of str
        What was found and decided, a sentence each.
    trusted : bool or None
        The verdict; None where there is none.
    """

    title: str
    fields: tuple[Field, ...]
    inside: NDArray[np.bool_]
    step: float
    unit: str
    axes: tuple[str, str, str] = ("z", "y", "x")
    about: dict[str, str] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    trusted: bool | None = None

    def named(self, name: str) -> Field:
        """Return a field by its name.

        Raises
        ------
        InputError
            If there is none of that name.
        """
        for item in self.fields:
            if item.name == name:
                return item
        raise InputError(f"no field {name!r}; there are {', '.join(item.name for item in self.fields)}")


def read_fields(path: str | Path, *, title: str = "") -> FieldSet:
    """Read the fields of a result's CXI file.

    Parameters
    ----------
    path : str or Path
        Written by `friedel reconstruct` or ``result.save``.
    title : str
        Name of the result; "" takes the source's.

    Raises
    ------
    InputError
        If the file is missing, damaged, or another program's.
    """
    volumes = read_volumes(path)
    quality, provenance = volumes.record["quality"], volumes.record["provenance"]
    step = step_angstrom(volumes)
    amplitude, bulk = np.abs(volumes.object), _bulk(volumes.object, volumes.inside)
    fields = [*_of_object(volumes.object, amplitude / bulk, volumes.inside)]
    fields += [_stored(name, values, volumes.units[name]) for name, values in volumes.quantities.items()]
    if volumes.intensities is not None:
        fields.append(_pattern(volumes.intensities))
    return FieldSet(
        title=title or str(provenance["source"]),
        fields=tuple(fields),
        inside=volumes.inside,
        step=1.0 if step is None else step / ANGSTROM_PER_NM,
        unit="voxels" if step is None else "nm",
        about=quality_words(quality),
        reasons=tuple(quality["reasons"]),
        trusted=bool(quality["trusted"]),
    )


def fields_of(
    crystal: CrystalImage, *, reconstruction: Reconstruction | None = None, diffraction: Diffraction | None = None
) -> FieldSet:
    """Return the fields of a crystal in memory, with quality and measured pattern where they are given."""
    step = crystal.voxel_size_angstrom
    stored = {"displacement": (crystal.displacement_angstrom, ANGSTROM_PER_M, "m"), "strain": (crystal.strain, 1, "")}
    stored["d_spacing"] = (crystal.d_spacing_angstrom, ANGSTROM_PER_M, "m")
    fields = [*_of_object(crystal.object, crystal.amplitude, crystal.support)]
    fields += [_stored(name, v / np.float32(scale), unit) for name, (v, scale, unit) in stored.items() if v is not None]
    if diffraction is not None:
        fields.append(_pattern(np.where(diffraction.mask, diffraction.intensities, np.nan).astype(np.float32)))
    quality = None if reconstruction is None else reconstruction.quality
    return FieldSet(
        title="crystal" if reconstruction is None else reconstruction.provenance.source,
        fields=tuple(fields),
        inside=crystal.support,
        step=1.0 if step is None else step / ANGSTROM_PER_NM,
        unit="voxels" if step is None else "nm",
        about={} if quality is None else quality_words(quality.as_dict()),
        reasons=() if quality is None else quality.reasons,
        trusted=None if quality is None else quality.trusted,
    )


def described(fields: FieldSet) -> dict[str, Any]:
    """Return everything but the volumes as plain values for the page's script; colour tables as base64 bytes."""
    maps = sorted({item.colours for item in fields.fields})
    return {
        "title": fields.title,
        "shape": list(fields.inside.shape),
        "step": fields.step,
        "unit": fields.unit,
        "axes": list(fields.axes),
        "fields": [_description(item) for item in fields.fields],
        "maps": {name: _base64(_table(name)) for name in maps},
        "about": fields.about,
        "reasons": list(fields.reasons),
        "trusted": fields.trusted,
        "start": [int(n) // 2 for n in fields.inside.shape] if not fields.inside.any() else _middle(fields.inside),
    }


def packed(item: Field, *, span: tuple[float, float] | None = None) -> bytes:
    """Return a field's values as little-endian int16, NaN as −32768; from its least to its largest, or span."""
    low, high = _range(item.values) if span is None else span
    known = np.isfinite(item.values)
    scaled = (np.where(known, item.values, low) - low) * (_LEVELS / ((high - low) or 1.0)) - 32767
    return np.where(known, np.rint(scaled), -32768).astype("<i2").tobytes()


def surface(fields: FieldSet, *, level: float = 0.5) -> dict[str, Any] | None:
    """Return the crystal's surface for the page's script, in voxel indices ``(z, y, x)``; None if there is none.

    Parameters
    ----------
    fields : FieldSet
        With "amplitude" relative to the bulk's.
    level : float
        Amplitude at which the surface is drawn.
    """
    amplitude = fields.named("amplitude").values
    plain = Placing(basis=np.eye(3), unit="voxels", axes=("z", "y", "x"))
    try:
        mesh = scalar_mesh(
            np.nan_to_num(amplitude),
            np.nan_to_num(amplitude),
            level=level,
            placing=plain,
            colouring=Colouring(title="", colour_map=AMPLITUDE_MAP, limits=(0, 1)),
        )
    except InputError:
        return None
    corners = mesh.vertices + np.array([n // 2 for n in amplitude.shape], dtype=np.float32)
    return {
        "corners": _base64(corners.astype("<f4")),
        "normals": _base64(mesh.normals.astype("<f4")),
        "triangles": _base64(mesh.triangles.astype("<u4")),
    }


def quality_words(quality: dict[str, Any]) -> dict[str, str]:
    """Return the main figures of a quality record as words."""
    words = {"misfit χ": _number(quality["chi"], ".4f")}
    if quality.get("chi_free") is not None:
        words["χ of held-out voxels"] = _number(quality["chi_free"], ".4f")
    words["starts that agree"] = f"{quality['n_agreeing']} of {quality['n_starts']}"
    if quality.get("agreement") is not None:
        words["they agree to"] = _number(quality["agreement"], ".3f")
    if quality.get("phase_spread_rad") is not None:
        words["phase spread"] = f"{quality['phase_spread_rad']:.3f} rad"
    for name, value in (quality.get("resolution_nm") or {}).items():
        words[f"resolution, {name}"] = f"{value:.3g}" + ("" if "voxel" in name else " nm")
    return words


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _of_object(obj: NDArray[np.complex64], amplitude: Floats, inside: NDArray[np.bool_]) -> tuple[Field, Field]:
    phase = np.where(inside, np.angle(obj), np.nan).astype(np.float32)
    top = float(np.percentile(amplitude[inside], 99.5)) if inside.any() else float(amplitude.max()) or 1.0
    return (
        Field(
            name="amplitude",
            unit="× bulk",
            values=amplitude.astype(np.float32),
            colours=AMPLITUDE_MAP,
            limits=(0.0, top),
        ),
        Field(name="phase", unit="rad", values=phase, colours=PHASE_MAP, limits=(-np.pi, np.pi)),
    )


def _bulk(obj: NDArray[np.complex64], inside: NDArray[np.bool_]) -> float:
    try:
        return find_isosurface(np.abs(obj), inside).bulk
    except InputError:
        return float(np.abs(obj).max()) or 1.0


def _stored(name: str, values: NDArray[np.float32], unit: str) -> Field:
    """Return a stored quantity in the unit people read it in; what isn't known is shown as the file says it."""
    words, scale, shown = name.replace("_", " "), 1.0, unit
    if "strain" in name and not unit:
        scale, shown = 1e3, "10⁻³"
    elif unit == "m":
        scale, shown = (1e10, "Å") if "spacing" in name else (1e12, "pm")
    values = (values * np.float32(scale)).astype(np.float32)
    known = values[np.isfinite(values)]
    if "error" in name or "spacing" in name or not (known < 0).any():
        limits = tuple(float(v) for v in np.percentile(known, (1, 99))) if known.size else (0.0, 1.0)
        return Field(name=words, unit=shown, values=values, colours=AMPLITUDE_MAP, limits=(limits[0], limits[1]))
    reach = float(np.percentile(np.abs(known), _ROBUST)) or 1.0
    return Field(name=words, unit=shown, values=values, colours=SIGNED_MAP, limits=(-reach, reach))


def _pattern(intensities: NDArray[np.float32]) -> Field:
    values = np.log10(1 + np.maximum(intensities, 0)).astype(np.float32)
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    name = "log10 (1 + photons)"
    return Field(
        name=PATTERN, unit=name, values=values, colours=INTENSITY_MAP, limits=(0.0, top or 1.0), on_pattern=True
    )


def _description(item: Field) -> dict[str, Any]:
    low, high = _range(item.values)
    return {
        "name": item.name,
        "unit": item.unit,
        "shape": list(item.values.shape),
        "range": [low, high],
        "limits": [float(item.limits[0]), float(item.limits[1])],
        "map": item.colours,
        "pattern": item.on_pattern,
    }


def _range(values: NDArray[np.float32]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _middle(inside: NDArray[np.bool_]) -> list[int]:
    return [round(float(np.mean(where))) for where in np.nonzero(inside)]


def _table(name: str) -> NDArray[np.uint8]:
    return np.asarray(np.rint(colormaps[name](np.linspace(0, 1, 256))[:, :3] * 255), dtype=np.uint8)


def _base64(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode("ascii")
