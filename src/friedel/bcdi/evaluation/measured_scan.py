"""The section on a measured scan: without a truth, so methods are compared with the best of many iterative starts."""

import hashlib
import json
from pathlib import Path

import numpy as np

from friedel._version import __version__
from friedel.bcdi.evaluation.methods import ITERATIVE, Answer, Methods
from friedel.bcdi.evaluation.pictures import beside_figure
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.records import Diffraction
from friedel.bcdi.scans.read import read_scan
from friedel.core.errors import FriedelError, InputError
from friedel.core.evaluation import Section, Table, read_section, save_picture, write_section
from friedel.core.observer import Note, Observer, Progress

TITLE = "A measured scan"
TASK = "phasing the scan"


def scan_section(plan: PhasingEvaluationPlan, methods: Methods, folder: Path, observer: Observer) -> Section:
    """Phase a measured scan by every method, from its raw frames.

    Parameters
    ----------
    plan : PhasingEvaluationPlan
        Names the scan's own plan.
    methods : Methods
        The ways to phase.
    folder : Path
        For the picture.
    observer : Observer
        Hears progress.

    Returns
    -------
    Section
        Without the scan's plan or files it says what is missing, and shows nothing. A finished one is kept.

    Raises
    ------
    InputError
        If the scan can't be read, or no method gives an object.
    """
    absent = _absent(plan)
    if absent:
        return Section(name="scan", title=TITLE, text=absent)
    key = _key(plan, methods)
    section = read_section(folder, "scan", key)
    if section is None:
        section = _phased(plan, methods, folder, observer)
        write_section(folder, section, key)
    return section


def _phased(plan: PhasingEvaluationPlan, methods: Methods, folder: Path, observer: Observer) -> Section:
    pattern = _prepared(plan)
    answers = _answers(methods, pattern, plan.seed, observer)
    best = answers.get(ITERATIVE) or next(iter(answers.values()))
    aligned = {name: align_to(answer.object, best.object) for name, answer in answers.items()}
    shown = {name: obj for name, (obj, _) in aligned.items()}
    picture = save_picture(
        folder,
        "scan",
        beside_figure(shown),
        caption="The middle slice, all in the frame of the iterative result. Each row has one colour scale.",
        alt=f"Amplitude and phase of the crystal as found by {', '.join(shown)}.",
    )
    return Section(
        name="scan",
        title=TITLE,
        text=_text(plan, pattern),
        tables=[_table(answers, {name: value for name, (_, value) in aligned.items()}, best)],
        pictures=[picture],
        figures=_figures(answers),
    )


def _answers(methods: Methods, pattern: Diffraction, seed: int, observer: Observer) -> dict[str, Answer]:
    answers: dict[str, Answer] = {}
    for done, name in enumerate(methods.run):
        observer(Progress(TASK, done, len(methods.run)))
        try:
            answers[name] = methods.answer(name, pattern, seed)
        except FriedelError as error:
            observer(Note("scan", f"{name} gives nothing: {error}"))
    observer(Progress(TASK, len(methods.run), len(methods.run)))
    if not answers:
        raise InputError(f"{pattern.name}: no method could phase it; friedel reconstruct tells more")
    return answers


def _key(plan: PhasingEvaluationPlan, methods: Methods) -> str:
    """Return what the section depends on, as a hash: version, scan, methods and seed."""
    assert plan.scan is not None
    parts = [__version__, plan.scan.read_text(encoding="utf-8"), plan.scan_shape, dict(methods.identity), plan.seed]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _absent(plan: PhasingEvaluationPlan) -> str:
    if plan.scan is None:
        return "Not phased: the plan names no scan. plans/phasing_evaluation.yaml shows how to name one."
    if not plan.scan.is_file():
        return f"Not phased: {plan.scan} isn't there; name the scan's plan with 'scan'."
    missing = ReconstructionPlan.load(plan.scan).absent_paths()
    if missing:
        return f"Not phased: {missing[0]} isn't there; put the raw frames where {plan.scan.name} looks for them."
    return ""


def _prepared(plan: PhasingEvaluationPlan) -> Diffraction:
    assert plan.scan is not None
    own = ReconstructionPlan.load(plan.scan)
    assert own.scan is not None
    options = own.prepare
    if plan.scan_shape is not None:
        options = options.model_copy(update={"shape": plan.scan_shape})
    return prepare(read_scan(own.scan), options)


def _text(plan: PhasingEvaluationPlan, pattern: Diffraction) -> str:
    size = " × ".join(map(str, pattern.intensities.shape))
    return (
        f"{pattern.name}, from raw frames, {size} voxels, {pattern.n_photons:.2g} photons. Nobody knows the truth: the "
        f"last column correlates each result with the best of {plan.iterative_starts} iterative starts. A larger "
        "support always lowers χ, so both stand together."
    )


def _table(answers: dict[str, Answer], correlation: dict[str, float], best: Answer) -> Table:
    rows = [
        [
            name,
            f"{answer.chi:.4f}",
            "–" if answer.chi_free is None else f"{answer.chi_free:.4f}",
            str(answer.voxels),
            f"{answer.seconds:.3g} s ({answer.cpu_seconds:.3g})",
            f"{best.seconds / max(answer.seconds, 1e-9):.1f} ×",
            "–" if answer.trusted is None else "yes" if answer.trusted else "no",
            f"{correlation[name]:.4f}",
        ]
        for name, answer in answers.items()
    ]
    columns = [
        "method", "misfit χ", "held-out χ", "support, voxels", "seconds (CPU)", "times faster than iterative",
        "called trusted", "correlation with the iterative result",
    ]  # fmt: skip
    return Table(caption="One pattern, one run of each", columns=columns, rows=rows)


def _figures(answers: dict[str, Answer]) -> dict[str, float]:
    kept = {name: (answer.chi, float(answer.voxels), answer.seconds) for name, answer in answers.items()}
    return {
        f"{name} {what}": value
        for name, values in kept.items()
        for what, value in zip(("chi", "voxels", "seconds"), values, strict=True)
        if np.isfinite(value)
    }
