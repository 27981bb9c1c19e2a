"""What a source says of a series, and what the plan says of the beamline, made into the setting of a scan.

Motor readings are whatever plain numbers the source sends beside the series and beside each frame, by name; the
beamline's description says which of them are circles, energy and distance. No frame is looked at here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from friedel.io.beamline import Beamline, SpecTiffLayout, load_beamline
from friedel.io.detector_images import read_detector_images
from friedel.io.geometry import Geometry, Look, scan_geometry
from friedel.io.placement import Placement
from friedel.io.source import ScanSource
from friedel.live.crystal_scan import ScanSetting
from friedel.live.sources.events import Begun


@dataclass(frozen=True)
class BeamlineGeometry:
    """Makes instrument and angles of readings; a record rather than a function, so that processes can exchange it."""

    beamline: Beamline
    source: ScanSource
    placement: Placement

    def __call__(self, look: Look) -> Geometry:
        """Return the geometry for the readings that ``look`` finds by name."""
        return scan_geometry(self.beamline, self.source, look, self.placement)


def numbers_in(meta: Mapping[str, Any]) -> dict[str, float]:
    """Return the plain numbers in what a source sends, by name; those in mappings inside it go by their own names."""
    found: dict[str, float] = {}
    for name, value in meta.items():
        if isinstance(value, Mapping):
            found |= numbers_in(value)
        elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
            found[str(name)] = float(value)
    return found


def setting_for(begun: Begun, shape: tuple[int, int], described: ScanSource | None) -> ScanSetting:
    """Return the setting of a scan.

    Parameters
    ----------
    begun : Begun
        The series.
    shape : (int, int)
        ``(y, x)`` of its frames.
    described : ScanSource or None
        The plan's ``scan`` section; without one, or without a beamline in it, the geometry is unknown.

    Raises
    ------
    InputError
        If the beamline, the dark or the flat can't be read, or they don't fit the frames.
    """
    mask = np.ones(shape, bool) if begun.mask is None else begun.mask
    name = Path(begun.series).name or begun.series
    plain = ScanSetting(mask=mask, n_frames=begun.expected, readings=numbers_in(begun.meta), name=name)
    if described is None or described.beamline is None:
        return plain
    beamline = load_beamline(described.beamline)
    placement = Placement(recorded_yx=shape, region=described.region)
    images = read_detector_images(described, begun.expected or 0, placement, dark_is=beamline.dark_is)
    layout = beamline.layout
    return ScanSetting(
        mask=mask & images.mask,
        n_frames=plain.n_frames,
        readings=plain.readings,
        geometry=BeamlineGeometry(beamline, described, placement),
        monitor=layout.monitor if isinstance(layout, SpecTiffLayout) else None,
        dark=images.dark,
        flat=images.flat,
        name=plain.name,
    )
