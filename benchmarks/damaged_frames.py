"""Files of frames damaged at random bytes: no crash, no hang, and every change of the frames is said or detected.

Run: ``python benchmarks/damaged_frames.py [--files 1000]``. Each file of HDF5, CXI, NPZ, NPY and ``.emc`` is read in a
process of its own; one that dies or takes longer than two minutes counts as a failure. Checksummed formats (gzip in
HDF5, NPZ) must give the right frames, an error, or frames marked unreadable; of formats without checksums only the
pixels whose own bytes were hit may change, in 16 bits one a byte. Any other change that nobody speaks of is
"UNFLAGGED".
"""

import argparse
import multiprocessing
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from friedel.core.errors import InputError
from friedel.spi.frames.emc import sparse, write_emc
from friedel.spi.frames.source import open_frames, read_batch

SHAPE = (6, 64, 64)
CHECKED = (".cxi", ".npz")  # written with checksums
TIMEOUT_S = 120.0  # a read takes 0.1 s; on a machine that others use, one of ten seconds isn't a hang


def write_samples(folder: Path) -> dict[str, Path]:
    """Write one sound file of each kind; return them by kind."""
    frames = np.random.default_rng(0).poisson(0.5, SHAPE).astype(np.uint16)
    paths = {kind: folder / f"run.{kind}" for kind in ("h5", "cxi", "npz", "npy", "emc")}
    with h5py.File(paths["h5"], "w") as file:
        file["data"] = frames
    with h5py.File(paths["cxi"], "w") as file:
        chunks = (1, *SHAPE[1:])
        file.create_dataset("entry_1/data_1/data", data=frames, chunks=chunks, compression="gzip", fletcher32=True)
        file["entry_1/data_1/mask"] = np.zeros(SHAPE[1:], np.uint32)
    np.savez_compressed(paths["npz"], frames=frames)
    np.save(paths["npy"], frames)
    write_emc(paths["emc"], map(sparse, frames), n_frames=SHAPE[0], n_pixels=SHAPE[1] * SHAPE[2])
    return paths


def read_one(path: Path, n_bytes: int, answer: Any) -> None:
    """Read a file and say what came of it: refused, right, said, changed in the bytes that were hit, or UNFLAGGED."""
    frames = np.random.default_rng(0).poisson(0.5, SHAPE).astype(np.uint16)
    try:
        with open_frames(path) as source:
            if source.shape[1:] != SHAPE[1:]:
                answer.put("said" if source.notes else "UNFLAGGED: other shape")
                return
            batch = read_batch(source, 0, min(source.shape[0], SHAPE[0]))
            differ = (batch.frames != frames[: len(batch.frames)]) & ~batch.unreadable[:, None, None]
            short = len(batch.frames) < SHAPE[0]
            if not differ.any() and not short:
                answer.put("said" if batch.unreadable.any() or source.notes else "right")
            elif source.notes:
                answer.put("said")
            else:
                hit = not short and int(differ.sum()) <= n_bytes and path.suffix not in CHECKED
                answer.put("pixels changed" if hit else "UNFLAGGED")
    except InputError:
        answer.put("refused")


def main() -> None:
    """Damage files and count what came of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000, help="files of each kind")
    parser.add_argument("--kinds", nargs="*", default=("h5", "cxi", "npz", "npy", "emc"))
    chosen = parser.parse_args()
    context = multiprocessing.get_context("fork")
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as name:
        for kind, sound in write_samples(Path(name)).items():
            if kind not in chosen.kinds:
                continue
            outcomes: Counter[str] = Counter()
            data = np.fromfile(sound, np.uint8)
            for _ in range(chosen.files):
                damaged = data.copy()
                n_bytes = int(rng.integers(1, 17))
                damaged[rng.integers(0, len(data), n_bytes)] = rng.integers(0, 256, 1)
                path = Path(name) / f"damaged.{kind}"
                damaged.tofile(path)
                answer = context.SimpleQueue()
                process = context.Process(target=read_one, args=(path, n_bytes, answer))
                process.start()
                process.join(TIMEOUT_S)
                if process.is_alive():
                    process.kill()
                    process.join()
                    outcomes["HANG"] += 1
                elif process.exitcode:
                    outcomes["CRASH"] += 1
                else:
                    outcomes[answer.get()] += 1
            bad = sum(n for what, n in outcomes.items() if what.startswith(("CRASH", "HANG", "UNFLAGGED")))
            print(f"{kind:4} {dict(outcomes)}  crash, hang or unflagged: {bad} (bar 0)", flush=True)


if __name__ == "__main__":
    main()
