"""Evaluate phasing: every crystal by every method once, each kept as it is finished, and one report of all."""

import time
from dataclasses import replace
from pathlib import Path

from friedel.bcdi.evaluation.conditions import Case, Condition, make_case
from friedel.bcdi.evaluation.measured_scan import scan_section
from friedel.bcdi.evaluation.methods import Methods, methods_of
from friedel.bcdi.evaluation.pictures import beside_truth_figure, over_conditions_figure
from friedel.bcdi.evaluation.plan import PhasingEvaluationPlan
from friedel.bcdi.evaluation.results import Outcome, ResultFolder, phase_case
from friedel.bcdi.evaluation.studies import Study, studies
from friedel.bcdi.evaluation.tables import ByCondition, speed_table, study_figures, study_tables
from friedel.core.evaluation import EvaluationPage, EvaluationResult, Section, save_picture, write_evaluation_report
from friedel.core.machine.memory import keep_freed_memory
from friedel.core.observer import Note, Observer, Progress, silent

TASK = "phasing crystals"


def evaluate_phasing(
    plan: PhasingEvaluationPlan, output: Path | None = None, *, observer: Observer = silent
) -> EvaluationResult:
    """Evaluate a phasing network, alone and with refinement, and leave a report in a folder.

    Every crystal's figures are kept in the folder as soon as a method has phased it: stopped or killed, the same call
    goes on where it was.

    Parameters
    ----------
    plan : PhasingEvaluationPlan
        Network, sections and conditions.
    output : Path, optional
        Folder for the report; None takes the plan's.
    observer : Observer
        Hears progress, and when a section is done.

    Raises
    ------
    PlanError
        If no folder is given.
    WeightsError
        If weights that the plan names can't be loaded.
    """
    folder = plan.folder_for(output, what="report")
    keep_freed_memory()
    methods = methods_of(plan)
    folder.mkdir(parents=True, exist_ok=True)
    bench = _Bench(plan, folder, methods, observer)
    sections = tuple(bench.section(name) for name in plan.wanted)
    text = plan.with_sizes().text()
    (folder / "plan.yaml").write_text(text, encoding="utf-8")
    report = write_evaluation_report(folder / "report.html", sections, bench.pictures, _page(plan, methods.model, text))
    return EvaluationResult(report=report, sections=sections, made=bench.made, model=methods.model)


def _page(plan: PhasingEvaluationPlan, model: str, text: str) -> EvaluationPage:
    return EvaluationPage(
        about="3D Bragg coherent diffraction imaging · evaluation of phasing",
        model=model,
        plan=text,
        quick="Few crystals and conditions" if plan.is_quick else "",
        source="Every figure here comes from a run on the machine that wrote this page.",
        missing=plan.unwanted,
    )


class _Bench:
    """One evaluation in its folder: phases what isn't there yet, and counts."""

    def __init__(self, plan: PhasingEvaluationPlan, folder: Path, methods: Methods, observer: Observer) -> None:
        self.plan, self.methods, self.observer = plan, methods, observer
        self.pictures, self.results = folder / "sections", ResultFolder(folder / "crystals", plan.seed)
        self.studies = {name: study for name, study in studies(plan.chosen_sizes).items() if name in plan.wanted}
        conditions = [condition for study in self.studies.values() for condition in study.conditions]
        self.total = sum(condition.crystals for condition in conditions) * len(methods.run)
        self.done = self.made = 0

    def section(self, name: str) -> Section:
        """Return one section of the report."""
        began = time.perf_counter()
        if name == "scan":
            section = scan_section(self.plan, self.methods, self.pictures, self.observer)
        else:
            section = self.study_section(self.studies[name])
        seconds = time.perf_counter() - began
        self.observer(Note(name, f"{section.title}: done in {seconds:.0f} s"))
        return replace(section, seconds=seconds)

    def study_section(self, study: Study) -> Section:
        """Phase a study's crystals, and put them into words, tables and pictures."""
        found = {condition.label: self.phased(condition) for condition in study.conditions}
        tables = study_tables(found, study.varied)
        text = study.text
        if study.name == "overview":
            tables.append(speed_table(found))
            text = " ".join([text, *self.methods.absent])
        section = Section(name=study.name, title=study.title, text=text, tables=tables, figures=study_figures(found))
        self.draw(study, found, section)
        return section

    def phased(self, condition: Condition) -> dict[str, list[Outcome]]:
        """Return the outcomes of all crystals of a condition, by method."""
        found: dict[str, list[Outcome]] = {name: [] for name in self.methods.run}
        for number in range(condition.crystals):
            kept = {name: self.kept(condition, number, name) for name in found}
            # A crystal takes a moment to make: not for figures that are all there.
            case = None if all(kept.values()) else make_case(condition, number, seed=self.plan.seed)
            for name, outcome in kept.items():
                outcome = outcome or self.phase(condition, number, name, case)
                found[name].append(outcome)
                self.done += 1
                self.observer(Progress(TASK, self.done, self.total))
        return found

    def kept(self, condition: Condition, number: int, name: str) -> Outcome | None:
        """Return what is kept of a crystal and a method."""
        return self.results.read(condition, number, name, self.methods.identity[name])

    def phase(self, condition: Condition, number: int, name: str, case: Case | None) -> Outcome:
        """Phase a crystal by a method, and keep the outcome.

        Parameters
        ----------
        condition : Condition
            Under which the crystal is measured.
        number : int
            Which of its crystals.
        name : str
            The method.
        case : Case or None
            The crystal with its pattern; None makes it.
        """
        case = case or make_case(condition, number, seed=self.plan.seed)
        outcome, aligned = phase_case(self.methods, name, case, number)
        self.results.write(condition, outcome, self.methods.identity[name], aligned)
        self.made += 1
        return outcome

    def draw(self, study: Study, found: ByCondition, section: Section) -> None:
        """Add a study's pictures to its section."""
        if len(found) > 1:
            picture = save_picture(
                self.pictures,
                study.name,
                over_conditions_figure(found),
                caption="Success is a correlation with the truth above 0.9.",
                alt=f"Correlation and success of every method over {study.varied}.",
            )
            section.pictures.append(picture)
        for condition in study.conditions:
            if condition.pictured:
                self.show(condition, section)

    def show(self, condition: Condition, section: Section) -> None:
        """Add the picture of a condition's first crystal."""
        objects = {name: self.results.object_of(condition, 0, name) for name in self.methods.run}
        truth = make_case(condition, 0, seed=self.plan.seed).truth
        there = {name: obj for name, obj in objects.items() if obj is not None}
        picture = save_picture(
            self.pictures,
            f"{condition.name}-crystal",
            beside_truth_figure(truth, there),
            caption=f"First crystal at {condition.label}: its middle slice, strain as of gold, 111 along the "
            "vertical, in a box of 320 nm. Each row has one colour scale.",
            alt=f"Amplitude, phase and strain of the true crystal and of those found by {', '.join(there)}.",
        )
        section.pictures.append(picture)
