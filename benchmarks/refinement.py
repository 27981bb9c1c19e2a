"""Refinement by automatic differentiation, beside the recipe of 3D-CDI-NN's authors from the same start.

Bar: a lower χ than the recipe reaches, in at most a tenth of its CPU time. The recipe: real and imaginary parts inside
the support, loss Σ(|F| − A)², Adam at 1e-2, 1000 steps, shrink-wrap (σ = 1, 0.15 of the maximum) every 50 (Yao et al.,
npj Comput. Mater. 8, 124, 2022, and the authors' published code). Both begin from what a network gives: a rough shape
and phase, here the true ones blurred, or for the real scan a short run of error reduction, blurred; χ is then about
0.4, as with the authors' network.
"""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from crystals import crystal, measure
from report import SHARED_DATA, Report, arguments
from scan54 import prepared
from torch import Tensor

from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support, shrink_wrap, smooth
from friedel.bcdi.phasing.refine import RefineOptions, refine
from friedel.bcdi.records import Diffraction
from friedel.core.fourier import fourier_corner
from friedel.core.machine.memory import keep_freed_memory

COST, STEPS, ROUNDS = 0.1, 1000, 3
RECIPE_SIGMA, RECIPE_THRESHOLD, RECIPE_EVERY = 1.0, 0.15, 50
SETTLE, SETTLED_THRESHOLD = "30*RAAR+10*ER", 0.2
BLUR = 1.5


@dataclass(frozen=True)
class Outcome:
    """Where a refinement ended, and its cost."""

    chi: float
    voxels: int
    cpu_seconds: float


def outcome(obj: Tensor, support: Tensor, measured: Measured, began: float) -> Outcome:
    """Return the figures of an object ``(z, y, x)``."""
    seconds = time.process_time() - began
    return Outcome(float(chi_of((obj * support)[None], measured)[0]), int(support.sum()), seconds)


def recipe(start: Tensor, measured: Measured) -> Outcome:
    """Run the published recipe, plainly."""
    began = time.process_time()
    # In the unit in which the object's amplitude is about 1, to which Adam's step of 1e-2 belongs.
    scaled = _scaled(start, measured)
    unit = scaled.abs().max()
    amplitude, values = measured.amplitude / unit, torch.view_as_real(scaled / unit).clone().requires_grad_(True)
    support = _recipe_support(torch.view_as_complex(values.detach()))
    optimiser = torch.optim.Adam([values], lr=1e-2)
    for step in range(1, STEPS + 1):
        optimiser.zero_grad()
        modulus = fourier_corner(torch.view_as_complex(values) * support).abs()
        loss = ((modulus - amplitude) * measured.fitted).square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if step % RECIPE_EVERY == 0 and step < STEPS:
            support = _recipe_support(torch.view_as_complex(values.detach()) * support)
    return outcome(torch.view_as_complex(values.detach()), support, measured, began)


def ours(start: Tensor, measured: Measured) -> Outcome:
    """Refine as friedel does: some projections under a support that follows, then L-BFGS inside it."""
    began = time.process_time()
    support = _recipe_support(start)
    wrap = ShrinkWrap(threshold=SETTLED_THRESHOLD, sigma=(1.0, 0.7), every=10, first=1)
    state = iterate(start_from(measured, start[None], support[None]), measured, parse_schedule(SETTLE), wrap=wrap)
    refined = refine(state.confined[0], state.support[0], measured, RefineOptions(early_stop=False))
    return outcome(refined.obj, state.support[0], measured, began)


def gradients_only(start: Tensor, measured: Measured) -> Outcome:
    """Run rounds of L-BFGS alone, the support updated in between as the recipe defines it."""
    began = time.process_time()
    obj, support = start, _recipe_support(start)
    for round_number in range(ROUNDS):
        obj = refine(obj, support, measured, RefineOptions(steps=STEPS // 20 // ROUNDS, early_stop=False)).obj
        if round_number + 1 < ROUNDS:
            support = _recipe_support(obj)
    return outcome(obj, support, measured, began)


def _recipe_support(obj: Tensor) -> Tensor:
    amplitude = smooth(obj.abs()[None], RECIPE_SIGMA)[0]
    return amplitude > RECIPE_THRESHOLD * amplitude.max()


def _scaled(obj: Tensor, measured: Measured) -> Tensor:
    modulus = fourier_corner(obj).abs() * measured.fitted
    return obj * ((modulus * measured.amplitude).sum() / modulus.square().sum())


def _blurred(obj: Tensor) -> Tensor:
    return torch.complex(smooth(obj.real.contiguous(), BLUR), smooth(obj.imag.contiguous(), BLUR))


def simulated(n: int) -> tuple[Diffraction, Tensor]:
    """Return a simulated pattern and a network-like start: the truth, blurred."""
    truth = crystal("other", (n, n, n), seed=11)
    return measure(truth, n_photons=1e7, seed=11), _blurred(torch.from_numpy(truth)[None])[0]


def real(folder: Path) -> tuple[Diffraction, Tensor]:
    """Return the real scan at 64³ and a start: a short run of error reduction with shrink-wrap, blurred."""
    pattern = prepared(folder, (64, 64, 64))
    measured = measured_from(pattern)
    state = iterate(
        start_random(measured, autocorrelation_support(measured), n_starts=1, seed=0), measured, (("ER", 60),)
    )
    wrapped = shrink_wrap(state.projected, state.support, threshold=0.2, sigma=1.0)
    return pattern, _blurred(state.projected * wrapped)[0]


def compare(report: Report, name: str, pattern: Diffraction, start: Tensor) -> None:
    """Add the figures of both, from one start."""
    measured = measured_from(pattern)
    ours(start, measured)  # once to warm up
    theirs, found, alone = recipe(start, measured), ours(start, measured), gradients_only(start, measured)
    begun, at = float(chi_of(start[None], measured)[0]), f"{theirs.chi:.4f}"
    report.add(f"{name}: χ (start {begun:.3f})", f"{found.chi:.4f}", bar=f"< {at}", peer=at, met=found.chi < theirs.chi)
    limit = COST * theirs.cpu_seconds
    report.add(f"{name}: CPU seconds", f"{found.cpu_seconds:.2f}", bar=f"<= {limit:.2f}",
               peer=f"{theirs.cpu_seconds:.2f}", met=found.cpu_seconds <= limit)  # fmt: skip
    report.add(f"{name}: support voxels", f"{found.voxels}", peer=f"{theirs.voxels}")
    report.add(f"{name}: χ by gradients alone, in CPU seconds", f"{alone.chi:.4f}, {alone.cpu_seconds:.2f}")


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=SHARED_DATA / "aps34idc_scan54", help="folder of the raw scan")


def main() -> None:
    """Run the benchmark."""
    given = arguments(__doc__, more=_own)
    keep_freed_memory()
    report = Report("refinement: automatic differentiation", given.quick)
    compare(report, "simulated 32³", *simulated(32))
    if not given.quick:
        compare(report, "simulated 64³", *simulated(64))
    if given.data.is_dir():
        compare(report, "scan 54, 64³", *real(given.data))
    else:
        print(f"{given.data}: the raw scan isn't there; simulated crystals only")
    report.note(
        f"peer: the recipe, {STEPS} steps. friedel: {SETTLE}, then L-BFGS. Gradients alone: {ROUNDS} rounds of it."
    )
    report.finish()


if __name__ == "__main__":
    main()
