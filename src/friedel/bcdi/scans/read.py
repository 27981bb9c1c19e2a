"""Any measurement into a raw rocking scan: the one way in for files."""

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.beamline import SpecTiffLayout, load_beamline
from friedel.bcdi.scans.detector_images import read_detector_images, with_unknown
from friedel.bcdi.scans.hdf5 import read_hdf5_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.spec_tiff import read_spec_tiff
from friedel.core.errors import InputError
from friedel.core.files.arrays import read_array
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, silent


def read_scan(source: ScanSource, *, observer: Observer = silent) -> BraggScan:
    """Read a rocking scan, or a plain volume, from its files.

    Parameters
    ----------
    source : ScanSource
        Which files, and what they mean.
    observer : Observer
        Hears progress, what was found, and repairs.

    Returns
    -------
    BraggScan
        ``frames`` in the files' own dtype (float32 with NaN where voxels are unknown); no geometry for a plain volume.

    Raises
    ------
    InputError
        One sentence that names the file and what to do, for anything missing, damaged or contradictory.
    """
    if source.beamline is None:
        return read_volume(source, observer=observer)
    beamline = load_beamline(source.beamline)
    reader = read_spec_tiff if isinstance(beamline.layout, SpecTiffLayout) else read_hdf5_scan
    return reader(source, beamline, observer=observer)


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
