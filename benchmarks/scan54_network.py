"""A real gold crystal (APS 34-ID-C, scan 54, 64³): network + refinement beside the best of ten iterative starts.

Bar: as good, at least 4 times faster. As good: held-out χ within 2 % of the iterative result's (which is the best of
its starts), support no more than 5 % larger, and the two correlate at 0.95 or better. cohere gets the same prepared
data at two thresholds; it fits all voxels, so it has no χ on held-out ones.
"""

import argparse
from pathlib import Path

import numpy as np
import peer
from report import SHARED_DATA, Report, arguments, spread
from scan54 import prepared

from friedel.bcdi.evaluation.methods import CHAIN, ITERATIVE, NETWORK, Answer, Methods, methods_of
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.records import Diffraction
from friedel.core.errors import WeightsError
from friedel.core.machine.memory import keep_freed_memory

FASTER, WORSE, LARGER, SAME = 4.0, 1.02, 1.05, 0.95
STARTS = 10
Answers = dict[str, list[Answer]]


def phased(methods: Methods, pattern: Diffraction, seeds: range) -> Answers:
    """Phase the pattern by every method and from every seed."""
    found: Answers = {name: [] for name in methods.run}
    for seed in seeds:
        for name, answers in found.items():
            answers.append(methods.answer(name, pattern, seed))
            last = answers[-1]
            print(f"  {name}, seed {seed}: χ {last.chi:.4f}, {last.voxels} voxels, {last.seconds:.1f} s", flush=True)
    return found


def add_lines(report: Report, found: Answers) -> None:
    """Add the barred figures, and the others'."""
    chain, iterative = found[CHAIN], found[ITERATIVE]
    free, limit = _middle([a.chi_free or np.inf for a in chain]), _middle([a.chi_free or np.inf for a in iterative])
    report.add("held-out χ", f"{free:.4f}", bar=f"<= {WORSE * limit:.4f}", peer=f"{limit:.4f}",
               met=free <= WORSE * limit)  # fmt: skip
    voxels, most = _middle([a.voxels for a in chain]), LARGER * _middle([a.voxels for a in iterative])
    report.add("support, voxels", f"{voxels:.0f}", bar=f"<= {most:.0f}", peer=_others(found, "voxels", 0),
               met=voxels <= most)  # fmt: skip
    matches = [align_to(a.object, b.object)[1] for a, b in zip(chain, iterative, strict=True)]
    report.add("correlation with the iterative result", spread(matches), bar=f">= {SAME}", met=min(matches) >= SAME)
    ratio = _middle([b.seconds / a.seconds for a, b in zip(chain, iterative, strict=True)])
    report.add("times faster", f"{ratio:.1f}", bar=f">= {FASTER:.0f}", met=ratio >= FASTER)
    report.add("χ", spread([a.chi for a in chain]), peer=_others(found, "chi", 4))
    report.add("seconds", spread([a.seconds for a in chain], 1), peer=_others(found, "seconds", 1))
    report.add("CPU seconds", spread([a.cpu_seconds for a in chain], 1), peer=_others(found, "cpu_seconds", 1))
    report.add("χ, network alone", spread([a.chi for a in found[NETWORK]]))


def _middle(values: list[float] | list[int]) -> float:
    return float(np.median(values))


def _others(found: Answers, figure: str, digits: int) -> str:
    return " | ".join(
        f"{_middle([getattr(answer, figure) for answer in answers]):.{digits}f}"
        for name, answers in found.items()
        if name not in (NETWORK, CHAIN)
    )


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "aps34idc_scan54", help="folder of the raw scan")
    parser.add_argument("--model", default="default", help="name or path of the network")
    parser.add_argument("--seeds", type=int, default=3)


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    if not given.data.is_dir():
        print(f"{given.data}: the raw scan isn't there; name its folder with --data. Nothing measured.")
        return
    keep_freed_memory()
    thresholds = (0.1, 0.2) if peer.available() else ()
    plan = PhasingEvaluationPlan(model=given.model, iterative_starts=STARTS, cohere=thresholds, device="cpu")
    try:
        methods = methods_of(plan)
    except WeightsError as error:
        print(f"scan54_network: {error}. Nothing measured.")
        return
    edge = 32 if given.quick else 64
    pattern = prepared(given.data, (edge, edge, edge))
    found = phased(methods, pattern, range(1 if given.quick else given.seeds))
    report = Report(f"scan54_network: a real crystal from raw frames, {edge}³", given.quick)
    add_lines(report, found)
    report.note(f"network: {methods.model}. iterative: {STARTS} starts.")
    report.note(f"peer: {' | '.join(name for name in methods.run if name not in (NETWORK, CHAIN))}.")
    report.finish()


if __name__ == "__main__":
    main()
