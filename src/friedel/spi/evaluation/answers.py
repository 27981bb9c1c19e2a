"""The section on realistic runs, mostly blank with few hits: how often blank, single and other are right answers."""

import numpy as np
from numpy.typing import NDArray

from friedel.core.evaluation import Section, Table
from friedel.spi.evaluation.accuracy import RATES
from friedel.spi.evaluation.context import Evaluation
from friedel.spi.forward.domain_randomisation import draw_experiment
from friedel.spi.forward.frames import simulate_frames
from friedel.spi.forward.scene import Kind
from friedel.spi.hits.probability.reliability import calibration_error
from friedel.spi.records import HitScores, joined_scores

_SEED = 80_000_000  # far from all others: no training used these frames
_FRAMES = 400  # of a run: at 1 % single hits it has four of them
_RUNS_PER_EXPERIMENT = 0.1  # runs at each rate over the plan's number of experiments, which are shorter
# Beside each single hit so many frames of other things.
_OTHERS = 0.5


def answers(given: Evaluation) -> Section:
    """Count right answers in simulated runs with 1, 5 and 20 % single hits, the other frames mostly blank."""
    n_runs = max(2, round(_RUNS_PER_EXPERIMENT * given.sizes.experiments))
    rows: list[list[str]] = []
    figures: dict[str, float] = {}
    for rate in RATES:
        scores, single, blank = _scored(given, rate, n_runs)
        found = _figures(scores, single, blank)
        figures |= {f"{rate:.0%} {name}": value for name, value in found.items()}
        words = [f"{100 * found[name]:.1f} %" for name in _SHARES]
        rows.append([f"{100 * rate:.0f} %", *words, *(f"{found[name]:.4f}" for name in _ERRORS)])
    return Section(
        name="answers",
        title="Blank, single or other",
        text=f"At each rate {n_runs} made-up experiments of {_FRAMES} frames: single hits, half as many of several "
        "particles and debris, and blanks. A blank counts as found from probability ½. Calibration errors are over all "
        "frames, in 15 bins.",
        tables=[Table(caption="Runs as they are", columns=["single hits", *_SHARES, *_ERRORS], rows=rows)],
        figures=figures,
    )


_SHARES = ("blanks found", "single hits found by good", "precision of good", "good blanks")
_ERRORS = ("ECE of single", "ECE of blank")


def _scored(given: Evaluation, rate: float, n_runs: int) -> tuple[HitScores, NDArray[np.bool_], NDArray[np.bool_]]:
    shares = {Kind.SEVERAL: 0.7 * _OTHERS * rate, Kind.DEBRIS: 0.3 * _OTHERS * rate}
    shares[Kind.EMPTY] = 1 - rate * (1 + _OTHERS)
    scores, single, blank = [], [], []
    for number in range(n_runs):
        seed = _SEED + number + round(1e4 * rate)
        options, mask = draw_experiment(seed, chunk=_FRAMES, bad_kinds=shares)
        made = simulate_frames(options.model_copy(update={"single_fraction": rate}), 0, mask=mask)
        scores.append(given.model.score(made.frames, made.mask))
        single.append(made.single)
        blank.append(made.kind == Kind.EMPTY)
    return joined_scores(scores), np.concatenate(single), np.concatenate(blank)


def _figures(scores: HitScores, single: NDArray[np.bool_], blank: NDArray[np.bool_]) -> dict[str, float]:
    scored = scores.status == 0
    good, right = scores.good, scores.good & single
    return {
        "blanks found": float(np.mean((scores.blank >= 0.5)[blank & scored])),
        "single hits found by good": right.sum() / max(single.sum(), 1),
        "precision of good": right.sum() / max(good.sum(), 1),
        "good blanks": float(np.mean(good[blank])),
        "ECE of single": calibration_error(scores.single[scored], single[scored]),
        "ECE of blank": calibration_error(scores.blank[scored], blank[scored]),
    }
