"""Any measurement into a raw rocking scan: the one way in for files."""

from friedel.base.observer import Observer, silent
from friedel.io.beamline import SpecTiffLayout, load_beamline
from friedel.io.hdf5_scan import read_hdf5_scan
from friedel.io.source import ScanSource
from friedel.io.spec_tiff import read_spec_tiff
from friedel.io.volume import read_volume
from friedel.records import BraggScan


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
