"""A plain 3D volume of intensities, of unknown geometry."""

from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, silent
from friedel.io.arrays import read_array
from friedel.io.detector_images import read_detector_images, with_unknown
from friedel.io.placement import Placement
from friedel.io.source import ScanSource
from friedel.records import BraggScan


def read_volume(source: ScanSource, *, observer: Observer = silent) -> BraggScan:
    """Read a 3D array ``(z, y, x)`` of photons from ``.npy .npz .tif .h5 .cxi``.

    Raises
    ------
    InputError
        If the file is damaged, holds no or several 3D arrays, or a complex one.
    """
    recorded = read_array(source.path, dataset=source.dataset, ndim=3)
    if recorded.size == 0:
        raise InputError(f"{source.path}: the volume is empty, shape {recorded.shape}")
    n_frames, rows, columns = recorded.shape
    placement = Placement(recorded_yx=(rows, columns), window=source.window, region=source.region)
    y0, y1, x0, x1 = placement.window_in_frames
    values = recorded[:, y0:y1, x0:x1]
    images = read_detector_images(source, n_frames, placement, observer=observer)
    name = source.path.name
    observer(Note("reading", f"{name}: volume {values.shape}, {values.dtype}; no geometry, so results are in voxels"))
    return BraggScan(
        frames=with_unknown(values, images.unknown), mask=images.mask, dark=images.dark, flat=images.flat, name=name
    )
