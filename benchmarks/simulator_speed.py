"""Frames a second of the single-particle simulator, on all cores.

Bar: 400 frames/s of icosahedra at 256² with counting noise and background, on two cores, every frame of a particle of
its own size and orientation. Condor simulates 5.4 of them a second (its own exact transform). A run as real ones are,
with several particles, droplets, debris and a faulty detector, is timed beside it.
"""

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import torch
from report import Report, arguments

from friedel.core.machine.memory import keep_freed_memory
from friedel.spi.forward.frames import ParticleRunOptions, simulate_frames
from friedel.spi.forward.readout import ReadoutOptions

BAR, CONDOR = 400.0, 5.4
ICOSAHEDRA = ParticleRunOptions(
    single_fraction=1.0,
    fluence_photons_per_um2=1e11,
    readout=ReadoutOptions(background_photons=0.02, read_noise_photons=0.1),
)
MIXED = ICOSAHEDRA.model_copy(
    update={
        "single_fraction": 0.5,
        "readout": ReadoutOptions(
            background_photons=0.02, fluctuation=0.3, fringe_blur=0.3, read_noise_photons=0.1, common_mode_photons=0.1
        ),
    }
)


def _start() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()
    simulate_frames(ICOSAHEDRA, 0)


def chunk_photons(options: ParticleRunOptions, number: int) -> float:
    """Simulate one chunk; return its mean photons a frame."""
    return float(simulate_frames(options, number).photons.mean())


def frames_per_second(pool: ProcessPoolExecutor, options: ParticleRunOptions, chunks: int) -> tuple[float, float]:
    """Return frames a second over all workers, and the mean photons of a frame."""
    began = time.perf_counter()
    photons = list(pool.map(chunk_photons, [options] * chunks, range(1, chunks + 1)))
    return chunks * options.chunk / (time.perf_counter() - began), sum(photons) / chunks


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__)
    cores, chunks = os.cpu_count() or 1, 8 if given.quick else 64
    report = Report("simulator speed: frames a second", given.quick)
    with ProcessPoolExecutor(cores, mp_context=get_context("spawn"), initializer=_start) as pool:
        list(pool.map(chunk_photons, [ICOSAHEDRA] * cores, range(cores)))
        rate, photons = frames_per_second(pool, ICOSAHEDRA, chunks)
        mixed, _ = frames_per_second(pool, MIXED, chunks)
    report.add(
        f"icosahedra, 256², {cores} cores",
        f"{rate:.0f} /s",
        bar=f">= {BAR:.0f} /s",
        peer=f"{CONDOR} /s (Condor)",
        met=rate >= BAR,
    )
    report.add("half single hits, half anything else, more faults", f"{mixed:.0f} /s")
    report.note(f"{photons:.0f} photons a frame on average. Condor was timed on a machine of this size, alone.")
    report.finish()


if __name__ == "__main__":
    main()
