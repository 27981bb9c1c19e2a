"""A simulated run of particle frames to watch. It is played by the ordinary source of files."""

from pathlib import Path

from friedel.core.observer import Note, Observer, silent
from friedel.spi.forward.frames import ParticleRunOptions
from friedel.spi.hits.selection import SelectionOptions
from friedel.spi.live.plan import QueueOptions, WatchPlan
from friedel.spi.simulation.plan import SimulationPlan
from friedel.spi.simulation.simulate import simulate_hits

HITS_PER_S = 40.0  # frames a second: a run of 800 takes 20 s, slow enough to be looked at
_PARTICLES = ("icosahedron", "soccer_ball", "torus", "rod")


def hits_plan(output: Path, *, seed: int = 0, frames: int = 800, observer: Observer = silent) -> WatchPlan:
    """Simulate a run of particle frames, and return the plan that watches it played at `HITS_PER_S`.

    Parameters
    ----------
    output : Path
        Folder for the run and the results.
    seed : int
        Seed of the simulation.
    frames : int
        How many.
    observer : Observer
        Hears what was made.
    """
    base = output / "beamline"
    base.mkdir(parents=True, exist_ok=True)
    beam = ParticleRunOptions(particles=_PARTICLES, single_fraction=0.3, chunk=16, seed=seed)
    run = simulate_hits(SimulationPlan(frames=frames, run=beam), base / "run.cxi", observer=observer).path
    observer(Note("beamline", f"{frames} frames, three in ten of one particle alone, in {run}"))
    return WatchPlan(
        source=f"file://{run.resolve()}?rate={HITS_PER_S:g}",
        select=SelectionOptions(),
        queue=QueueOptions(batch=16, sample=64, settle_s=5.0),
        output=output,
    )
