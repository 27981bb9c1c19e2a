"""Sections on how often classifiers are right: by domain, by method, at rare hits; and how well they are calibrated."""

import time
from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from friedel.core.errors import PlanError
from friedel.core.evaluation import EvaluationPicture, Section, Table, percent, raw, save_picture
from friedel.core.statistics import Interval
from friedel.spi.evaluation.context import Evaluation, share_right, visible
from friedel.spi.evaluation.data import LabelledFrames, Runs
from friedel.spi.evaluation.models import Floats, adapted_run, by_diffusion_map, scored, transfer, truths
from friedel.spi.figures import precision_recall_figure, reliability_figure
from friedel.spi.hits.model import HitModel
from friedel.spi.hits.probability.hit_rates import figures_at_rate, precision_recall
from friedel.spi.hits.probability.reliability import Reliability, reliability

PAPER = {"sim/sim": 0.998, "exp/exp": 0.946, "sim/exp": 0.620}
"""Accuracies that Li & Han give, for comparison; every other figure of a report is measured."""
_PAPER_METHODS = {"ResNet": "99.8 %", "VGG16": "98.6 % (exp/exp)"}
Compared: TypeAlias = tuple[Interval, Interval, float]
RATES = (0.01, 0.05, 0.20)  # shares of single hits, from rare to frequent in real runs


def domains(given: Evaluation) -> Section:
    """Compare accuracy where a classifier was trained, where it wasn't, and after a few labels."""
    test, other = given.data.paper(given.sizes.test_frames, test=True), given.other_runs
    networks = {"ResNet(2, 2), trained here": given.paper_network(), given.model.card.name: given.model}
    bright = [run.rows(visible(given, run)) for run in other]
    found = {name: _by_domain(given, network, test, other, bright) for name, network in networks.items()}
    meanings = {
        "sim/sim": "simulated icosahedra, one experiment",
        "sim/exp": "second domain, never trained on",
        "sim/exp, fringes": "its frames with visible fringes",
        "exp/exp": f"second domain, {given.sizes.labels} labels a class",
    }
    rows = [
        [meaning, *(percent(values[key]) for values in found.values()), _paper_words(key)]
        for key, meaning in meanings.items()
        if all(key in values for values in found.values())
    ]
    text = (
        "The ResNet learns from one simulated experiment, as in the paper, and is then shown frames that another "
        "program made. Where no fringes are visible, nobody can tell one particle from two. In the last row each "
        "run's own labels adapt the last step; the labelled frames don't count. Brackets hold the 95 % interval. The "
        "paper's second and third figures are of its own measured frames."
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


def _by_domain(
    given: Evaluation, network: HitModel, test: LabelledFrames, other: Runs, bright: Runs
) -> dict[str, Interval]:
    found = {
        "sim/sim": share_right(scored(network, [test]), test.single),
        "sim/exp": share_right(scored(network, other), truths(other)),
        "exp/exp": _adapted(given, network, other),
    }
    if truths(bright).size:
        found["sim/exp, fringes"] = share_right(scored(network, bright), truths(bright))
    return found


def _paper_words(key: str) -> str:
    return f"{100 * PAPER[key]:.1f} % ({key})" if key in PAPER else ""


def _adapted(given: Evaluation, network: HitModel, runs: Runs) -> Interval:
    parts = [
        adapted_run(network, run, labels=given.sizes.labels, seed=given.plan.seed)
        for run in _with_both_classes(given, runs)
    ]
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
    test, other = given.data.paper(given.sizes.test_frames, test=True), given.other_runs
    training = given.data.paper(min(given.sizes.transfer_frames, given.sizes.training_frames), test=False)
    kind = "ImageNet weights" if given.plan.vgg16 else "RANDOM weights: no file was given"
    ways: Mapping[str, Callable[[], Compared]] = {
        "ResNet(2, 2)": lambda: _both(given.paper_network(), test, other),
        f"VGG16 ({kind}) + logistic regression": lambda: _transferred(given, training, test, other),
        f"diffusion map, {given.sizes.labels} labels a class": lambda: _mapped(given, test, other),
        given.model.card.name: lambda: _both(given.model, test, other),
    }
    found = {name: way() for name, way in ways.items()}
    rows = [
        [
            name,
            percent(here),
            percent(there),
            f"{rate:.0f} frames/s",
            _PAPER_METHODS.get(name[: name.find("(")].strip(), ""),
        ]
        for name, (here, there, rate) in found.items()
    ]
    text = (
        "All are tested on the same frames. The networks and the regression learn from one simulated experiment of "
        "icosahedra; the diffusion map learns nothing and takes labels from the run itself, in the second domain too. "
        f"VGG16 is slow: its regression sees {len(training.single)} frames, and as many of each test."
    )
    columns = ["method", "simulated icosahedra", "second domain", "speed on 128² frames", "the paper"]
    return Section(
        name="methods",
        title="Four ways to classify",
        text=text,
        tables=[Table(caption="Accuracy", columns=columns, rows=rows)],
        figures={
            key: value
            for name, (here, there, rate) in found.items()
            for key, value in (raw(name, {"sim/sim": here, "second domain": there}) | {f"{name} rate": rate}).items()
        },
    )


def _both(network: HitModel, test: LabelledFrames, other: Runs) -> Compared:
    network.score(test.frames[:8], test.mask)  # loads what is loaded once
    began = time.perf_counter()
    here = scored(network, [test])
    rate = len(here) / (time.perf_counter() - began)
    return share_right(here, test.single), share_right(scored(network, other), truths(other)), rate


def _transferred(given: Evaluation, training: LabelledFrames, test: LabelledFrames, other: Runs) -> Compared:
    few = test.rows(np.arange(min(len(test.single), given.sizes.transfer_frames)))
    each = max(1, given.sizes.transfer_frames // len(other))
    some = [run.rows(np.arange(min(each, len(run.single)))) for run in other]
    began = time.perf_counter()
    here, *there = transfer(training, [few, *some], given.plan.vgg16, observer=given.observer)
    n_frames = len(training.single) + len(few.single) + len(truths(some))
    rate = n_frames / (time.perf_counter() - began)
    return share_right(here, few.single), share_right(np.concatenate(there), truths(some)), rate


def _mapped(given: Evaluation, test: LabelledFrames, other: Runs) -> Compared:
    labels, seed = given.sizes.labels, given.plan.seed
    parts = [by_diffusion_map(run, labels=labels, seed=seed) for run in _with_both_classes(given, other)]
    there = share_right(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    began = time.perf_counter()
    here = share_right(*by_diffusion_map(test, labels=labels, seed=seed))
    return here, there, len(test.single) / (time.perf_counter() - began)


def _with_both_classes(given: Evaluation, runs: Runs) -> Runs:
    """Return the runs that have labels to give in both classes, and frames left to test on."""
    fit = [run for run in runs if min(run.single.sum(), (~run.single).sum()) > given.sizes.labels]
    if not fit:
        raise PlanError(
            f"no run of the second domain has more than {given.sizes.labels} frames of each class; "
            "take more frames (sizes.other_frames) or fewer labels (sizes.labels)"
        )
    return fit


def rates(given: Evaluation) -> Section:
    """Measure precision and recall of the selection where single hits are rare (`RATES`)."""
    sets = {"experiments of all shapes": given.experiments, "second domain": given.other_runs}
    rows: list[list[str]] = []
    figures: dict[str, float] = {}
    for name, runs in sets.items():
        scores, truth = scored(given.model, runs), truths(runs)
        for rate in RATES:
            plain, matched = (_at(given, scores, truth, rate, threshold) for threshold in (0.5, 1 - rate))
            figures |= raw(f"{name} {rate:.0%}", plain) | raw(f"{name} {rate:.0%} matched", matched)
            of_both = [percent(found[key]) for found in (plain, matched) for key in ("precision", "recall", "f1")]
            rows.append([f"{name}, {100 * rate:.0f}\u00a0%", *of_both, percent(plain["pr_auc"])])
    parts = ("precision", "recall", "F1")
    matched_parts = (f"{part} from 1 − rate" for part in parts)
    columns = ["frames, share of single hits", *(f"{part} from ½" for part in parts), *matched_parts, "PR-AUC"]
    return Section(
        name="rates",
        title="Where single hits are rare",
        text="Where few frames are single hits, even rare mistakes on the many others spoil a selection: accuracy is "
        "not enough. Probabilities are learnt at even odds; in a run of which a share r is single, a frame is more "
        "likely single than not from probability 1 − r. Both thresholds are shown. Brackets hold the bootstrap's 95 % "
        "interval.",
        tables=[Table(caption="Selection by the model", columns=columns, rows=rows)],
        pictures=[_rates_picture(given, sets["second domain"])],
        figures=figures,
    )


def _at(
    given: Evaluation, scores: Floats, truth: NDArray[np.bool_], rate: float, threshold: float
) -> dict[str, Interval]:
    repeats, seed = given.sizes.bootstrap, given.plan.seed
    return figures_at_rate(scores, truth, rate=rate, threshold=threshold, repeats=repeats, seed=seed)


def _rates_picture(given: Evaluation, runs: Runs) -> EvaluationPicture:
    scores, truth = scored(given.model, runs), truths(runs)
    curves = {f"{100 * rate:.0f} % single hits": precision_recall(scores, truth, rate=rate) for rate in RATES}
    return save_picture(
        given.pictures,
        "rates",
        precision_recall_figure(curves),
        caption="Second domain. Each curve weighs the same frames as a run with this share of single hits would.",
        alt="Precision against recall at three hit rates.",
    )


def calibration(given: Evaluation) -> Section:
    """Compare probabilities with the observed shares of single hits."""
    sets = {"in domain": given.experiments, "second domain": given.other_runs}
    found: dict[str, Reliability] = {}
    rows = []
    for name, runs in sets.items():
        scores, truth = scored(given.model, runs), truths(runs)
        curve = found[name] = reliability(np.clip(scores, 0, 1), truth)
        rejected = np.concatenate([given.model.score(run.frames, run.mask).reject_band for run in runs])
        wrong = (scores > 0.5) != truth
        sure = _mean_percent(wrong[~rejected])
        doubtful = _mean_percent(wrong[rejected])
        rows.append([name, f"{curve.ece:.4f}", f"{curve.worst:.3f}", _mean_percent(rejected), doubtful, sure])
    picture = save_picture(
        given.pictures,
        "calibration",
        reliability_figure({name: ((c.foretold, c.observed), c.counts) for name, c in found.items()}),
        caption="On the dashed line a probability means what it says. Below: frames in each of the 15 bins.",
        alt="Share of single hits against the probability foretold, in and out of the model's domain.",
    )
    columns = [
        "frames",
        "ECE, 15 bins",
        "greatest gap",
        "frames in the reject band",
        "errors among them",
        "errors among the rest",
    ]
    return Section(
        name="calibration",
        title="Can the probabilities be believed?",
        text="The expected calibration error (ECE) is the mean gap between the probability foretold and the share of "
        "single hits that came, over bins of the probability. In the reject band the model errs too often to decide.",
        tables=[Table(caption="Calibration of the model", columns=columns, rows=rows)],
        pictures=[picture],
        figures={f"{name} ece": curve.ece for name, curve in found.items()},
    )


def _mean_percent(values: NDArray[np.bool_]) -> str:
    return f"{100 * values.mean():.2f} %" if values.size else "–"
