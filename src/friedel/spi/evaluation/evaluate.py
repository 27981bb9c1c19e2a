"""Evaluate a classifier of single hits: every section once, each kept as it is finished, and one report of all."""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from friedel._version import __version__
from friedel.core.evaluation import (
    EvaluationPage,
    EvaluationResult,
    Section,
    read_section,
    write_evaluation_report,
    write_section,
)
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.observer import Note, Observer, silent
from friedel.spi.evaluation.accuracy import calibration, domains, methods, rates
from friedel.spi.evaluation.answers import answers
from friedel.spi.evaluation.context import Evaluation
from friedel.spi.evaluation.plan import EvaluationPlan
from friedel.spi.evaluation.studies import depths, looks, shapes, speed
from friedel.spi.forward.independent import Beads

MAKERS: Mapping[str, Callable[[Evaluation], Section]] = {
    "domains": domains,
    "methods": methods,
    "rates": rates,
    "answers": answers,
    "calibration": calibration,
    "shapes": shapes,
    "depths": depths,
    "looks": looks,
    "speed": speed,
}
"""What makes each section of the report, by name."""


def evaluate_hits(plan: EvaluationPlan, output: Path | None = None, *, observer: Observer = silent) -> EvaluationResult:
    """Evaluate a model, and leave a report in a folder.

    Simulated frames, trained networks and finished sections are kept in the folder: stopped or killed, the same call
    goes on where it was.

    Parameters
    ----------
    plan : EvaluationPlan
        Model, sections and sizes.
    output : Path, optional
        Folder for the report; None takes the plan's.
    observer : Observer
        Hears progress, and each section's figures.

    Raises
    ------
    PlanError
        If no folder is given.
    WeightsError
        If the model or VGG16's file can't be loaded.
    MissingDependencyError
        If a network is to be trained and the extra "train" isn't installed.
    """
    folder = plan.folder_for(output, what="report")
    keep_freed_memory()
    folder.mkdir(parents=True, exist_ok=True)
    given = Evaluation(plan=plan, folder=folder, molecules=_molecules(plan), observer=observer)
    found, made = [], 0
    for name in plan.wanted:
        section = read_section(given.pictures, name, _key(given, name))
        if section is None:
            section = _make(given, name)
            made += 1
        found.append(section)
    (folder / "plan.yaml").write_text(plan.with_sizes().text(), encoding="utf-8")
    report = write_evaluation_report(folder / "report.html", found, given.pictures, _page(plan, given.model.name))
    return EvaluationResult(report=report, sections=tuple(found), made=made, model=given.model.name)


def _page(plan: EvaluationPlan, model: str) -> EvaluationPage:
    return EvaluationPage(
        about="Single-particle imaging · evaluation of a classifier",
        model=model,
        plan=plan.with_sizes().text(),
        quick="Few frames and short trainings" if plan.is_quick else "",
        source="Every figure here comes from a run on the machine that wrote this page, except those in columns called "
        '"the paper".',
        missing=plan.unwanted,
    )


def _make(given: Evaluation, name: str) -> Section:
    began = time.perf_counter()
    section = MAKERS[name](given)
    section = replace(section, seconds=time.perf_counter() - began)
    write_section(given.pictures, section, _key(given, name))
    given.observer(Note(name, f"{section.title}: done in {section.seconds:.0f} s"))
    return section


def _key(given: Evaluation, name: str) -> str:
    """Return what a section depends on, as a hash: version, model, sizes, files and seed."""
    plan = given.plan
    parts = [__version__, name, given.model.name, plan.chosen_sizes.model_dump(mode="json"), plan.seed]
    parts += [str(plan.vgg16), [str(path) for path in plan.molecules]]
    parts += [file.model_dump(mode="json") for file in plan.files]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _molecules(plan: EvaluationPlan) -> tuple[Beads, ...]:
    if not plan.molecules:
        return ()
    from friedel.spi.particles.molecules import read_atoms  # needs the extra "particles"

    atoms = [(path.stem, read_atoms(path)) for path in plan.molecules]
    return tuple(Beads(name=name, positions=one.positions, weights=one.occupancies) for name, one in atoms)
