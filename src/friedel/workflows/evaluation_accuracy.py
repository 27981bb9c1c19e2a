"""Sections on how often classifiers are right: by domain, by method, at rare hits, and how honest probabilities are."""

import time
from collections.abc import Callable, Mapping

import numpy as np

from friedel.hits.hit_rates import Interval, figures_at_rate, precision_recall
from friedel.hits.model import HitModel
from friedel.hits.reliability import Reliability, reliability
from friedel.plotting.evaluation import precision_recall_figure, reliability_figure
from friedel.workflows.evaluation_context import Evaluation, share_right
from friedel.workflows.evaluation_data import LabelledFrames, Runs
from friedel.workflows.evaluation_models import adapted_run, by_diffusion_map, scored, transfer, truths
from friedel.workflows.evaluation_plan import EvaluationSizes
from friedel.workflows.evaluation_record import Section, Table, percent, raw, save_picture

PAPER = {"sim/sim": 0.998, "exp/exp": 0.946, "sim/exp": 0.620, "VGG16": 0.986}
"""Accuracies that Li & Han give, for comparison; every other figure of a report is measured."""
RATES = (0.01, 0.05, 0.20)


def domains(given: Evaluation) -> Section:
    """Compare accuracy where a classifier was trained, where it wasn't, and after a few labels."""
    test, other = given.data.paper(given.sizes.test_frames, test=True), given.other_runs
    networks = {"ResNet(2, 2), trained here": given.paper_network(), given.model.card.name: given.model}
    found: dict[str, dict[str, Interval]] = {}
    for name, network in networks.items():
        found[name] = {
            "sim/sim": share_right(scored(network, [test]), test.single),
            "sim/exp": share_right(scored(network, other), truths(other)),
            "exp/exp": _adapted(given, network, other),
        }
    meanings = {
        "sim/sim": "simulated icosahedra, one experiment",
        "sim/exp": "second domain, never trained on",
        "exp/exp": f"second domain, {given.sizes.labels} labels a class",
    }
    rows = [
        [meaning, *(percent(values[key]) for values in found.values()), f"{100 * PAPER[key]:.1f} % ({key})"]
        for key, meaning in meanings.items()
    ]
    text = (
        "The ResNet learns from one simulated experiment, as in the paper, and is then shown frames that another "
        "program made. In the last row each run's own labels adapt the last step; the labelled frames don't count. "
        "Brackets hold the 95 % interval. The paper's second and third figures are of its own measured frames."
    )
    by_run = _by_run(given.model, other)
    return Section(
        name="domains",
        title="Where it was trained, and where it wasn't",
        text=text,
        tables=[
            Table(caption="Accuracy", columns=["frames", *networks, "the paper"], rows=rows),
            Table(
                caption="The second domain, particle by particle",
                columns=["particle", "frames", "accuracy"],
                rows=by_run,
            ),
        ],
        figures={key: value for name, values in found.items() for key, value in raw(name, values).items()},
    )


def _adapted(given: Evaluation, network: HitModel, runs: Runs) -> Interval:
    fit = [run for run in runs if min(run.single.sum(), (~run.single).sum()) > given.sizes.labels]
    parts = [adapted_run(network, run, labels=given.sizes.labels, seed=given.plan.seed) for run in fit]
    return share_right(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _by_run(model: HitModel, runs: Runs) -> list[list[str]]:
    by_particle: dict[str, list[LabelledFrames]] = {}
    for run in runs:
        by_particle.setdefault(run.particle, []).append(run)
    return [
        [name, str(sum(len(run.single) for run in some)), percent(share_right(scored(model, some), truths(some)))]
        for name, some in by_particle.items()
    ]


def methods(given: Evaluation) -> Section:
    """Compare ResNet, VGG16 with a regression, diffusion map and the model on the same frames."""
    test, training = (given.data.paper(n, test=kind) for n, kind in _method_frames(given.sizes))
    other = given.other_runs
    kind = "ImageNet weights" if given.plan.vgg16 else "RANDOM weights: no file was given"
    ways: Mapping[str, Callable[[], tuple[Interval, Interval]]] = {
        "ResNet(2, 2)": lambda: _both(given.paper_network(), test, other),
        f"VGG16 ({kind}) + logistic regression": lambda: _transferred(given, training, test, other),
        f"diffusion map, {given.sizes.labels} labels a class": lambda: _mapped(given, test, other),
        given.model.card.name: lambda: _both(given.model, test, other),
    }
    rows, figures = [], {}
    for name, way in ways.items():
        began = time.perf_counter()
        here, there = way()
        figures |= raw(name, {"sim/sim": here, "second domain": there})
        rows.append([name, percent(here), percent(there), f"{time.perf_counter() - began:.1f} s"])
    text = (
        "All are tested on the same frames. The networks and the regression learn from one simulated experiment of "
        "icosahedra; the diffusion map learns nothing and takes labels from the run itself, in the second domain too. "
        f"The regression sees {len(training.single)} frames. The paper has 98.6 % for VGG16 on its measured frames."
    )
    columns = ["method", "simulated icosahedra", "second domain", "time, training included if it was needed"]
    return Section(
        name="methods",
        title="Four ways to classify",
        text=text,
        tables=[Table(caption="Accuracy", columns=columns, rows=rows)],
        figures=figures,
    )


def _method_frames(sizes: EvaluationSizes) -> tuple[tuple[int, bool], tuple[int, bool]]:
    return (sizes.test_frames, True), (min(sizes.transfer_frames, sizes.training_frames), False)


def _both(network: HitModel, test: LabelledFrames, other: Runs) -> tuple[Interval, Interval]:
    return share_right(scored(network, [test]), test.single), share_right(scored(network, other), truths(other))


def _transferred(
    given: Evaluation, training: LabelledFrames, test: LabelledFrames, other: Runs
) -> tuple[Interval, Interval]:
    # VGG16 is slow: both tests are cut to as many frames as it learns from.
    few = test.rows(np.arange(min(len(test.single), given.sizes.transfer_frames)))
    each = max(1, given.sizes.transfer_frames // len(other))
    some = [run.rows(np.arange(min(each, len(run.single)))) for run in other]
    here, *there = transfer(training, [few, *some], given.plan.vgg16, observer=given.observer)
    return share_right(here, few.single), share_right(np.concatenate(there), truths(some))


def _mapped(given: Evaluation, test: LabelledFrames, other: Runs) -> tuple[Interval, Interval]:
    labels, seed = given.sizes.labels, given.plan.seed
    fit = [run for run in other if min(run.single.sum(), (~run.single).sum()) > labels]
    parts = [by_diffusion_map(run, labels=labels, seed=seed) for run in fit]
    there = share_right(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return share_right(*by_diffusion_map(test, labels=labels, seed=seed)), there


def rates(given: Evaluation) -> Section:
    """Say what a selection is worth where single hits are rare."""
    sets = {"experiments of all shapes": given.experiments, "second domain": given.other_runs}
    rows, figures, curves = [], {}, {}
    for name, runs in sets.items():
        scores, truth = scored(given.model, runs), truths(runs)
        for rate in RATES:
            found = figures_at_rate(scores, truth, rate=rate, repeats=given.sizes.bootstrap, seed=given.plan.seed)
            figures |= raw(f"{name} {rate:.0%}", found)
            rows.append(
                [f"{name}, {rate:.0%}", *(percent(found[key]) for key in ("precision", "recall", "f1", "pr_auc"))]
            )
            if name == "second domain":
                curves[f"{rate:.0%} single hits"] = precision_recall(scores, truth, rate=rate)
    picture = save_picture(
        given.pictures,
        "rates",
        precision_recall_figure(curves),
        caption="Second domain. Each curve weighs the same frames as a run with this share of single hits would.",
        alt="Precision against recall at three hit rates.",
    )
    columns = ["frames, share of single hits", "precision", "recall", "F1", "PR-AUC"]
    return Section(
        name="rates",
        title="Where single hits are rare",
        text="A frame is selected from probability ½. Where few frames are single hits, even rare mistakes on the many "
        "others spoil a selection: so accuracy is not enough. Brackets hold the bootstrap's 95 % interval.",
        tables=[Table(caption="Selection by the model", columns=columns, rows=rows)],
        pictures=[picture],
        figures=figures,
    )


def calibration(given: Evaluation) -> Section:
    """Compare probabilities with what came."""
    sets = {"in domain": given.experiments, "second domain": given.other_runs}
    found: dict[str, Reliability] = {}
    rows = []
    for name, runs in sets.items():
        scores, truth = scored(given.model, runs), truths(runs)
        curve = found[name] = reliability(np.clip(scores, 0, 1), truth)
        unsure = np.concatenate([given.model.score(run.frames, run.mask).unsure for run in runs])
        wrong = (scores > 0.5) != truth
        sure = f"{wrong[~unsure].mean():.2%}" if (~unsure).any() else "–"
        doubtful = f"{wrong[unsure].mean():.1%}" if unsure.any() else "–"
        rows.append([name, f"{curve.ece:.4f}", f"{curve.worst:.3f}", f"{unsure.mean():.1%}", doubtful, sure])
    picture = save_picture(
        given.pictures,
        "calibration",
        reliability_figure({name: ((c.foretold, c.observed), c.counts) for name, c in found.items()}),
        caption="On the dashed line a probability means what it says. Below: frames in each of the 15 bins.",
        alt="Share of single hits against the probability foretold, in and out of the model's domain.",
    )
    columns = ["frames", "ECE, 15 bins", "greatest gap", "unsure frames", "errors among them", "errors among the rest"]
    return Section(
        name="calibration",
        title="Can the probabilities be believed?",
        text="The expected calibration error (ECE) is the mean gap between the probability foretold and the share of "
        "single hits that came, over bins of the probability. Unsure frames are those in the model's unsure band.",
        tables=[Table(caption="Calibration of the model", columns=columns, rows=rows)],
        pictures=[picture],
        figures={f"{name} ece": curve.ece for name, curve in found.items()},
    )
