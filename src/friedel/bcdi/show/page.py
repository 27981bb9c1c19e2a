"""One HTML page of a result with everything in it: for notebooks, for mail, for a browser without a server."""

import base64
import json
import re
from functools import cache
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from friedel.bcdi.figures.slices import Panel, slices_figure
from friedel.bcdi.records import CrystalImage, Diffraction, Reconstruction
from friedel.bcdi.show.fields import FieldSet, described, fields_of, packed, surface
from friedel.bcdi.strain.analysis import analyse
from friedel.core.files.atomic import replacing

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("volume.js", "solid.js", "viewer.js")
"""In the order in which they need one another."""
_IMPORTS = re.compile(r"^import .*?;\n", re.MULTILINE)
_DOTS_PER_INCH = 110

_STYLE = (
    "body{margin:0;padding:0.8rem;background:#fff;color:#22262b;font:15px/1.45 system-ui,sans-serif}"
    "h2{font-size:1.1rem;margin:0 0 .6rem}"
)
_START = """
const data = JSON.parse(document.getElementById("data").textContent);
new Viewer(document.getElementById("viewer"), {
  about: data.about,
  volume: async (k) => bytesOf(data.volumes[k]).buffer,
  surface: async () => data.surface,
});
"""


class Shown:
    """A result as a notebook shows it: the page where HTML is understood, a picture elsewhere, text at the least.

    Parameters
    ----------
    fields : FieldSet
        What to show.
    height : int
        Of the page in the notebook, pixels.
    """

    def __init__(self, fields: FieldSet, *, height: int = 900) -> None:
        self.fields = fields
        self.height = height

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        framed = (
            f'<iframe srcdoc="{escape(html_page(self.fields), quote=True)}" sandbox="allow-scripts allow-downloads"'
        )
        framed += (
            f' title="{escape(self.fields.title, quote=True)}" width="100%" height="{self.height}" frameborder="0">'
        )
        return {
            "text/html": framed + "</iframe>",
            "image/png": base64.b64encode(_picture(self.fields)).decode("ascii"),
            "text/plain": repr(self),
        }

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value}" for name, value in list(self.fields.about.items())[:3])
        return f"{self.fields.title}: {figures or 'no quality figures'}"

    def save(self, path: str | Path) -> Path:
        """Write the page as one HTML file that needs nothing else.

        Raises
        ------
        InputError
            If the file can't be written.
        """
        with replacing(Path(path)) as unfinished:
            unfinished.write_text(html_page(self.fields), encoding="utf-8")
        return Path(path)


def show(
    result: Reconstruction | CrystalImage,
    *,
    reconstruction: Reconstruction | None = None,
    diffraction: Diffraction | None = None,
    height: int = 900,
) -> Shown:
    """Show a result in a notebook: slices to scroll, profiles, a surface to turn.

    Parameters
    ----------
    result : Reconstruction or CrystalImage
        A reconstruction is brought to its laboratory grid first.
    reconstruction : Reconstruction, optional
        Whose quality figures stand beside a `CrystalImage`.
    diffraction : Diffraction, optional
        The measured pattern, as a further field.
    height : int
        Of the page in the notebook, pixels.
    """
    if isinstance(result, Reconstruction):
        return Shown(fields_of(analyse(result), reconstruction=result, diffraction=diffraction), height=height)
    return Shown(fields_of(result, reconstruction=reconstruction, diffraction=diffraction), height=height)


def html_page(fields: FieldSet) -> str:
    """Return the page: scripts, volumes and surface inside, nothing fetched."""
    data = {
        "about": described(fields),
        "volumes": [base64.b64encode(packed(item)).decode("ascii") for item in fields.fields],
        "surface": surface(fields),
    }
    figures = " · ".join(f"{escape(name)} {escape(value)}" for name, value in fields.about.items())
    # A "<" inside JSON could begin a tag.
    inside = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(fields.title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}{_styles()}</style></head>'
        f'<body><h2>{escape(fields.title)}</h2><p>{figures}</p><div id="viewer"></div>'
        f'<script type="application/json" id="data">{inside}</script>'
        f'<script type="module">{_scripts()}{_START}</script></body></html>'
    )


@cache
def _scripts() -> str:
    texts = [(STATIC / name).read_text(encoding="utf-8") for name in SCRIPTS]
    return "".join(_IMPORTS.sub("", text).replace("export ", "") for text in texts)


@cache
def _styles() -> str:
    return (STATIC / "viewer.css").read_text(encoding="utf-8")


def _picture(fields: FieldSet) -> bytes:
    """Draw amplitude, and strain or phase, through the middle, as PNG."""
    names = [item.name for item in fields.fields]
    chosen = [fields.named(name) for name in ("amplitude", "strain" if "strain" in names else "phase")]
    panels = [
        Panel(title=f"{item.name} ({item.unit})", values=item.values, colour_map=item.colours, limits=item.limits)
        for item in chosen
    ]
    figure = slices_figure(panels, support=fields.inside, voxel_size=(fields.step,) * 3)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH)
    return buffer.getvalue()


def difference(first: FieldSet, second: FieldSet) -> FieldSet:
    """Return ``first`` less ``second``, field by field, of two results on one grid (`friedel.bcdi.strain.align`)."""
    both = [(item, second.named(item.name)) for item in first.fields if _comparable(item.name, first, second)]
    fields = []
    for one, other in both:
        values = one.values - other.values
        if one.unit == "rad":
            values = np.angle(np.exp(1j * values)).astype(np.float32)
        reach = float(np.nanpercentile(np.abs(values), 99)) if np.isfinite(values).any() else 1.0
        fields.append(
            type(one)(name=one.name, unit=one.unit, values=values, colours="RdBu_r", limits=(-(reach or 1), reach or 1))
        )
    return FieldSet(
        title=f"{first.title} − {second.title}",
        fields=tuple(fields),
        inside=first.inside & second.inside,
        step=first.step,
        unit=first.unit,
        axes=first.axes,
    )


def _comparable(name: str, first: FieldSet, second: FieldSet) -> bool:
    has = [item for item in second.fields if item.name == name]
    return bool(has) and not has[0].on_pattern and has[0].values.shape == first.named(name).values.shape
