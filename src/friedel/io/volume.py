"""A plain 3D volume of intensities, of unknown geometry."""

from friedel.base.errors import InputError
from friedel.base.observer import Note, Observer, silent
from friedel.io.arrays import read_array
from friedel.io.detector_images import read_detector_images, with_unknown
from friedel.io.source import ScanSource
from friedel.records import BraggScan


def read_volume(source: ScanSource, *, observer: Observer = silent) -> BraggScan:
    """Read a 3D array ``(z, y, x)`` of photons from ``.npy .npz .tif .h5 .cxi``.

    Raises
    ------
    InputError
        If the file is damaged, holds no or several 3D arrays, or a complex one.
    """
    values = read_array(source.path, dataset=source.dataset, ndim=3)
    if values.size == 0:
        raise InputError(f"{source.path}: the volume is empty, shape {values.shape}")
    images = read_detector_images(source, values.shape, observer=observer)
    name = source.path.name
    observer(Note("reading", f"{name}: volume {values.shape}, {values.dtype}; no geometry, so results are in voxels"))
    return BraggScan(
        frames=with_unknown(values, images.unknown), mask=images.mask, dark=images.dark, flat=images.flat, name=name
    )
