"""Any measurement into a raw rocking scan: the one way in for files."""

from collections.abc import Callable
from dataclasses import replace

from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.beamline import Beamline, FioLayout, SpecTiffLayout, load_beamline
from friedel.bcdi.scans.detector_images import Recorded, read_detector_images, say_frames, with_unknown
from friedel.bcdi.scans.fio import read_fio_scan
from friedel.bcdi.scans.hdf5 import read_hdf5_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.bcdi.scans.spec_tiff import read_spec_tiff
from friedel.core.errors import InputError
from friedel.core.files.arrays import read_volume, suffix_of
from friedel.core.files.placement import Placement
from friedel.core.observer import Note, Observer, Recorder, silent, tee


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
    heard = Recorder()
    tell = tee(heard, observer)
    if source.beamline is None:
        scan = read_plain(source, observer=tell)
    else:
        beamline = load_beamline(source.beamline)
        scan = _reader(beamline)(source, beamline, observer=tell)
    if not scan.mask.any():
        raise InputError(f"{source.path}: every pixel is masked; does non-zero mark good pixels? Set mask_marks: good")
    return replace(scan, origin=scan.origin.with_events(heard.events))


def _reader(beamline: Beamline) -> Callable[..., BraggScan]:
    if isinstance(beamline.layout, SpecTiffLayout):
        return read_spec_tiff
    return read_fio_scan if isinstance(beamline.layout, FioLayout) else read_hdf5_scan


def read_plain(source: ScanSource, *, observer: Observer = silent) -> BraggScan:
    """Read a 3D array ``(z, y, x)`` of photons without geometry, with the mask beside it.

    Raises
    ------
    InputError
        If the file is damaged, holds no or several 3D arrays, or a complex one.
    """
    volume = read_volume(
        source.path, dataset=source.dataset, mask_dataset=None if source.mask is not None else source.mask_dataset
    )
    if volume.values.size == 0:
        raise InputError(f"{source.path}: the volume is empty, shape {volume.values.shape}")
    n_frames, rows, columns = volume.values.shape
    placement = Placement(recorded_yx=(rows, columns), window=source.window, region=source.region)
    inside = (slice(None), *(slice(*span) for span in _spans(placement)))
    values, name = volume.values[inside], source.path.name
    lost = None if volume.lost is None else volume.lost[inside]
    observer(Note("file", f"{source.path}" + (f", dataset {volume.dataset}" if volume.dataset else "")))
    say_frames(n_frames, lost, observer, name=name, missing=volume.missing, dtype=str(values.dtype))
    recorded = Recorded(frames=values, lost=lost, masks=volume.masks, bits=suffix_of(source.path) == ".cxi")
    images = read_detector_images(source, recorded, placement, observer=observer)
    observer(Note("reading", f"{name}: volume {values.shape}, {values.dtype}; no geometry, so results are in voxels"))
    return BraggScan(
        frames=with_unknown(values, images.unknown), mask=images.mask, dark=images.dark, flat=images.flat, name=name
    )


def _spans(placement: Placement) -> tuple[tuple[int, int], tuple[int, int]]:
    y0, y1, x0, x1 = placement.window_in_frames
    return (y0, y1), (x0, x1)
