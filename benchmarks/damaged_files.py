"""Damage files at random bytes and read them: no crash, no hang, no change of the data that nobody speaks of.

    python benchmarks/damaged_files.py --each 150

Of every format a good file is damaged in 1 to 64 bytes, cut off, or both, many times over. Each is read in a process
of its own pool; one that dies or takes longer than two minutes fails the bar. A read that gives other frames than the
good file's without an error or a warning fails it too, where the format has a checksum or a structure that could show
it; bytes of pixels have none, so a change of at most eight voxels a damaged byte is counted apart ("values changed").
"""

import argparse
import multiprocessing
import sys
import tempfile
import zlib
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import tifffile

from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.records import BraggScan
from friedel.bcdi.scans.read import read_scan
from friedel.bcdi.scans.source import ScanSource
from friedel.core.errors import FriedelError
from friedel.core.observer import Recorder, Warned

SHAPE = (24, 32, 30)
FORMATS = ("tiff", "spec", "hdf5", "hdf5 compressed", "cxi", "npz", "npy", "fio")
LONGEST_S = 120.0
# A byte of bitshuffled data holds one bit of eight pixels.
PIXELS_A_BYTE = 8


def frames() -> np.ndarray:
    """Return the good frames, ``(n, y, x)`` uint16 photons."""
    z, y, x = (np.indices(SHAPE).T - np.array(SHAPE) // 2).T
    return np.random.default_rng(0).poisson(2000 * np.exp(-(z**2 + y**2 + x**2) / 40) + 0.2).astype(np.uint16)


def write(kind: str, folder: Path) -> tuple[ScanSource, Path]:
    """Write a good scan; return how to read it and the file to damage."""
    if kind in ("npz", "npy"):
        path = folder / f"v.{kind}"
        np.savez_compressed(path, data=frames()) if kind == "npz" else np.save(path, frames())
        return ScanSource(path=path), path
    if kind in ("tiff", "spec"):
        return _spec(kind, folder)
    if kind == "fio":
        return _fio(folder)
    path = folder / ("v.cxi" if kind == "cxi" else "v.h5")
    with h5py.File(path, "w") as file:
        extra = dict(hdf5plugin.Bitshuffle(cname="lz4")) if "compressed" in kind else {}
        name = "entry_1/instrument_1/detector_1/data" if kind == "cxi" else "entry/data/data"
        checked = {"fletcher32": True} if not extra else {}
        file.create_dataset(name, data=frames(), chunks=(1, *SHAPE[1:]), **extra, **checked)
        file[name.replace("/data", "/mask") if kind == "cxi" else "entry/data/mask"] = np.zeros(SHAPE[1:], np.uint32)
    return ScanSource(path=path), path


def _spec(kind: str, folder: Path) -> tuple[ScanSource, Path]:
    inner = folder / "x_S0003"
    inner.mkdir()
    for index, frame in enumerate(frames()):
        tifffile.imwrite(inner / f"x_{index:05d}.tif", frame)
    rows = "\n".join(f"{0.01 * k:.5f} 1 {int(frame.sum())}" for k, frame in enumerate(frames()))
    names = "th chi phi del gam cam en"
    spec = folder / "x.spec"
    spec.write_text(
        f"#F x\n#E 1\n#O0 {'  '.join(names.split())}\n#o0 {names}\n\n#S 3 ascan th\n#P0 0 90 0 30 12 500 9\n"
        f"#N 3\n#L th  Seconds  ImageTot\n{rows}\n"
    )
    source = ScanSource(path=inner, spec=spec, beamline="aps34idc", scan=3)
    return source, inner / "x_00011.tif" if kind == "tiff" else spec


def _fio(folder: Path) -> tuple[ScanSource, Path]:
    with h5py.File(folder / "x_00003_master.h5", "w") as file:
        file["entry/data/data_000001"] = frames()
    fio = folder / "x_00003.fio"
    rows = "\n".join(f"{17 + 0.01 * k:.5f} {int(f.sum())}" for k, f in enumerate(frames()))
    motors = "gam = 3\ndel = 31\nphi = 1\nchi = 90\nmu = 0\nfmbenergy = 9000"
    fio.write_text(f"%c\nascan om\n%p\n{motors}\n%d\n Col 1 om DOUBLE\n Col 2 det DOUBLE\n{rows}\n")
    return ScanSource(path=folder, beamline="petra3_p10", scan=3, distance_m=1.8), fio


def damaged(content: bytes, rng: np.random.Generator) -> tuple[bytes, int]:
    """Return a file's content with random bytes changed or its end cut off, and how many bytes were changed."""
    data = bytearray(content)
    n = int(rng.integers(1, 65))
    for at in rng.integers(0, len(data), n):
        data[at] = int(rng.integers(0, 256))
    cut = rng.random() < 0.2
    return bytes(data[: int(rng.integers(1, len(data)))] if cut else data), n


def outcome(kind: str, seed: int) -> str:
    """Return what came of one damaged file: "refused", "said", "same", "pixels changed", or "UNFLAGGED"."""
    with tempfile.TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng([seed, zlib.crc32(kind.encode())])
        source, path = write(kind, folder)
        good = read_scan(source)
        content, n_bytes = damaged(path.read_bytes(), rng)
        path.write_bytes(content)
        heard = Recorder()
        try:
            scan = read_scan(source, observer=heard)
        except FriedelError:
            return "refused"
        if any(isinstance(event, Warned) for event in heard.events):
            return "said"
        found = _compared(scan, good, n_bytes)
        if found != "UNFLAGGED":
            return found
        # What only the counts themselves show is found when they are prepared.
        try:
            prepare(scan, observer=heard)
        except FriedelError:
            return "refused"
        return "said" if any(isinstance(event, Warned) for event in heard.events) else found


def _compared(scan: BraggScan, good: BraggScan, n_bytes: int) -> str:
    if scan.frames.shape != good.frames.shape:
        return "UNFLAGGED"
    differ = int((scan.frames != good.frames).sum() + (scan.mask != good.mask).sum())
    still = good.motors_deg
    angles = all(np.allclose(scan.motors_deg[name], value, atol=1e-12) for name, value in still.items())
    energy = (scan.beam is None) == (good.beam is None) and (scan.beam is None or scan.beam == good.beam)
    if differ == 0 and angles and energy and scan.detector == good.detector:
        return "same"
    # Digits of a number and bytes of a pixel are as good as others: nothing in the file can tell.
    return "values changed" if differ <= PIXELS_A_BYTE * n_bytes else "UNFLAGGED"


def main() -> int:
    """Damage so many files of each format and print what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=150)
    parser.add_argument("--formats", nargs="*", default=FORMATS)
    options = parser.parse_args()
    failed = 0
    for kind in options.formats:
        counts = _run(kind, options.each)
        failed += counts.get("UNFLAGGED", 0) + counts.get("CRASHED", 0) + counts.get("HUNG", 0)
        said = ", ".join(f"{name} {n}" for name, n in sorted(counts.items()))
        print(f"{kind:16s} {said}", flush=True)
    print(f"bar: no crash, no hang, no unflagged change: {'met' if not failed else f'{failed} failed'}")
    return int(failed > 0)


def _run(kind: str, each: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    todo = list(range(each))
    while todo:
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(frames).result()  # a new process imports for seconds
            while todo:
                seed = todo.pop()
                try:
                    found = pool.submit(outcome, kind, seed).result(timeout=LONGEST_S)
                except BrokenProcessPool:
                    counts["CRASHED"] = counts.get("CRASHED", 0) + 1
                    break
                except TimeoutError:
                    counts["HUNG"] = counts.get("HUNG", 0) + 1
                    for process in list(pool._processes.values()):
                        process.kill()
                    break
                counts[found] = counts.get(found, 0) + 1
    return counts


if __name__ == "__main__":
    sys.exit(main())
