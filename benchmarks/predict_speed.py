"""`friedel.predict` on a 32³ pattern: milliseconds from intensities to a reconstruction, the network loaded already.

Bar: at most 15 ms on two cores. Beside it the network of 3D-CDI-NN as it was published, run in float32 as PyTorch runs
it by default: its weights don't matter for the time, so they are random.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from report import Report, arguments, spread

import friedel
from friedel.bcdi.evaluation.conditions import Condition, make_case
from friedel.bcdi.networks.cdi_nn import CdiNN
from friedel.bcdi.phasing.prediction.model import load_phasing_model
from friedel.core.errors import WeightsError

MAX_MS, THREADS = 15.0, 2


def milliseconds(work: Callable[[], object], repeats: int) -> list[float]:
    """Return the wall time of each call, after three that don't count."""
    for _ in range(3):
        work()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - began))
    return taken


def published(repeats: int) -> list[float]:
    """Return the times of the published network alone, one pattern, float32, default memory layout."""
    network, amplitude = CdiNN().eval(), torch.rand(1, 1, 32, 32, 32)
    with torch.inference_mode():
        return milliseconds(lambda: network(amplitude), repeats)


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="default", help="name or path of the network")
    parser.add_argument("--repeats", type=int, default=50)


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    if given.threads is None:
        torch.set_num_threads(THREADS)
    try:
        model = load_phasing_model(given.model, device="cpu")
    except WeightsError as error:
        print(f"predict_speed: {error}. Nothing measured.")
        return
    repeats = 10 if given.quick else given.repeats
    pattern = make_case(Condition(name="speed", label="speed", crystals=1), 0, seed=0).pattern
    ours = milliseconds(lambda: friedel.predict(pattern.intensities, model=model), repeats)
    theirs = published(min(repeats, 10))
    middle = float(np.median(ours))
    report = Report("predict_speed: friedel.predict, 32³", given.quick)
    report.add("milliseconds a pattern", spread(ours, 1), bar=f"<= {MAX_MS:.0f}", peer=spread(theirs, 1),
               met=middle <= MAX_MS)  # fmt: skip
    report.note(f"{model.name}, {torch.get_num_threads()} threads. peer: 3D-CDI-NN's network alone, float32.")
    report.finish()


if __name__ == "__main__":
    main()
