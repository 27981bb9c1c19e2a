"""The ways to phase that an evaluation puts side by side, each called as a user calls it, and timed.

A method is asked for one pattern at a time. What isn't there (weights, cohere) is left out, with a sentence for the
report.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from friedel.bcdi.evaluation.cohere import cohere_installed, run_cohere
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.phasing.prediction.model import PhasingModel, load_phasing_model
from friedel.bcdi.predict import predict
from friedel.bcdi.reconstruct import reconstruct
from friedel.bcdi.records import Diffraction, Quality, Reconstruction
from friedel.core.networks import shipped_models

NETWORK, PUBLISHED = "network", "3D-CDI-NN"
SHIPPED_PUBLISHED = "phasing_cdi_nn"
"""Name of its weights, where they are shipped."""
CHAIN, ITERATIVE = "network + refinement", "iterative"


@dataclass(frozen=True, eq=False, kw_only=True)
class Answer:
    """What a method gave for one pattern.

    Attributes
    ----------
    object : (z, y, x) complex64
        Zero outside the support.
    chi : float
        Misfit on measured voxels.
    voxels : int
        Size of its support.
    chi_free : float or None
        The same on voxels held out of the fit, where there were any.
    trusted : bool or None
        Its own verdict; None if it gives none.
    seconds, cpu_seconds : float
        Wall and CPU time.
    """

    object: NDArray[np.complex64]
    chi: float
    voxels: int
    chi_free: float | None = None
    trusted: bool | None = None
    seconds: float
    cpu_seconds: float


Method = Callable[[Diffraction, int], Answer]


@dataclass(frozen=True, eq=False)
class Methods:
    """The methods that can be run, and what each one's figures depend on.

    Attributes
    ----------
    run : mapping of str to Method
        By name, in the report's order; a method takes a pattern and a seed.
    identity : mapping of str to str
        Text that changes when a method's answers would.
    absent : tuple of str
        A sentence for each method that isn't there.
    model : str
        Name and hash of the network.
    """

    run: Mapping[str, Method]
    identity: Mapping[str, str]
    absent: tuple[str, ...] = ()
    model: str = ""
    _seen: set[tuple[str, tuple[int, ...]]] = field(default_factory=set, repr=False)

    def answer(self, name: str, pattern: Diffraction, seed: int) -> Answer:
        """Run a method; one that takes milliseconds runs once untimed for every new shape.

        Raises
        ------
        FriedelError
            If the method refuses the pattern.
        """
        met = (name, pattern.intensities.shape)
        if name in (NETWORK, PUBLISHED) and met not in self._seen:
            self.run[name](pattern, seed)
        self._seen.add(met)
        return self.run[name](pattern, seed)


def methods_of(plan: PhasingEvaluationPlan) -> Methods:
    """Return the methods of a plan.

    Raises
    ------
    WeightsError
        If weights that the plan names can't be loaded.
    """
    model = load_phasing_model(plan.model, device=plan.device)
    run: dict[str, Method] = {NETWORK: _predicting(model)}
    identity, absent = {NETWORK: model.name}, []
    named = plan.published or (SHIPPED_PUBLISHED if SHIPPED_PUBLISHED in shipped_models() else None)
    if named is not None:
        published = load_phasing_model(named, device=plan.device)
        run[PUBLISHED], identity[PUBLISHED] = _predicting(published), published.name
    else:
        absent.append(f"{PUBLISHED}: none of its weights are shipped, and the plan names none ('published').")
    run[CHAIN], identity[CHAIN] = _refining(plan), f"{plan.model} {model.name}"
    run[ITERATIVE], identity[ITERATIVE] = _iterating(plan), f"{plan.iterative_starts} starts"
    if plan.cohere and cohere_installed():
        run |= {f"cohere {threshold:g}": _peer(threshold) for threshold in plan.cohere}
    elif plan.cohere:
        absent.append("cohere: not installed; pip install 'friedel[peers]' puts it beside the figures.")
    identity |= {name: "one start" for name in run if name not in identity}
    return Methods(run, identity, tuple(absent), model.name)


def _predicting(model: PhasingModel) -> Method:
    def prediction(pattern: Diffraction, seed: int) -> Answer:
        return _timed(lambda: predict(pattern.intensities, mask=~pattern.mask, model=model))

    return prediction


def _refining(plan: PhasingEvaluationPlan) -> Method:
    options = {"start": "network", "guided": {"model": plan.model}}

    def chain(pattern: Diffraction, seed: int) -> Answer:
        return _timed(
            lambda: reconstruct(pattern.intensities, mask=~pattern.mask, plan=options, seed=seed, device=plan.device)
        )

    return chain


def _iterating(plan: PhasingEvaluationPlan) -> Method:
    options = {"start": "random", "starts": plan.iterative_starts}

    def iterate(pattern: Diffraction, seed: int) -> Answer:
        return _timed(
            lambda: reconstruct(pattern.intensities, mask=~pattern.mask, plan=options, seed=seed, device=plan.device)
        )

    return iterate


def _peer(threshold: float) -> Method:
    def peer(pattern: Diffraction, seed: int) -> Answer:
        found = run_cohere(pattern, threshold=threshold, seed=seed)
        return Answer(
            object=found.object,
            chi=found.chi,
            voxels=int(found.support.sum()),
            seconds=found.seconds,
            cpu_seconds=found.cpu_seconds,
        )

    return peer


def _timed(method: Callable[[], Reconstruction]) -> Answer:
    wall, cpu = time.perf_counter(), time.process_time()
    found = method()
    seconds, cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    return Answer(
        object=found.object,
        chi=found.quality.chi,
        voxels=found.quality.support_voxels,
        chi_free=found.quality.chi_free,
        trusted=_verdict(found.quality),
        seconds=seconds,
        cpu_seconds=cpu_seconds,
    )


def _verdict(quality: Quality) -> bool | None:
    """Return the verdict; a prediction alone has none, as it is never called trusted."""
    return None if quality.n_starts == 1 and quality.chi_free is None else quality.trusted
