"""Sections that look into classifiers: shapes never seen, depth, what networks look at, and speed."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.core.evaluation import EvaluationPicture, Section, Table, percent, save_picture
from friedel.core.statistics import Interval, share
from friedel.spi.diffusion.diffusion_map import diffusion_map
from friedel.spi.diffusion.frame_vectors import frame_vectors
from friedel.spi.evaluation.context import Evaluation
from friedel.spi.evaluation.data import LabelledFrames, Runs
from friedel.spi.evaluation.models import Recipe, scored, truths, vgg16
from friedel.spi.figures import activations_figure, attention_figure, depths_figure, shares_figure
from friedel.spi.hits.explain import activations, convolutional_layers, grad_cam
from friedel.spi.hits.features.features import NAME as FRINGES
from friedel.spi.hits.features.features import SPECTRA
from friedel.spi.hits.model import HitModel
from friedel.spi.hits.preparation.standardise import Standardiser
from friedel.spi.records import Frames
from friedel.spi.training.preprocessing import PREPROCESSING, require_known

_FALSE_POSITIVES = 0.005  # share of bad frames that the threshold lets pass, as in the paper's comparison of shapes
_LOOKED_AT = 6  # frames shown with what decided their score, half of them single hits
_PAPER_MISSES = {"icosahedron": 0.0, "soccer_ball": 0.587, "torus": 0.848}  # Li & Han, false negatives by shape
_ICOSAHEDRON = "icosahedron"
# First chunks of sets that share no frame.
_LEARNT, _TESTED, _ONLY = 0, 100_000, 200_000


def shapes(given: Evaluation) -> Section:
    """Count misses by shape: of a network that learnt icosahedra only, and of one that never learnt the shape."""
    names, frames = given.sizes.shapes, given.sizes.shape_frames
    part = max(frames // 4, 16)
    learnt = {name: given.data.bright(name, part, first=_LEARNT) for name in names}
    tested = {name: given.data.bright(name, part, first=_TESTED) for name in names}
    touching = {name: given.data.bright(name, part // 4, first=_TESTED, contact=True) for name in names}
    only = _trained(given, "only-icosahedron", [given.data.bright(_ICOSAHEDRON, frames, first=_ONLY)])
    varied = given.data.bright(_ICOSAHEDRON, frames, first=_ONLY, carved=True)
    carved = _trained(given, "carved-icosahedron", [varied])
    ways = ("learnt from icosahedra only", "from icosahedra, stretched and carved", "shape left out")
    misses: dict[str, list[float]] = {way: [] for way in ways}
    rows = []
    for name in names:
        without = [run for other, run in learnt.items() if other != name]
        models = (only, carved, _trained(given, f"without-{name}", without) if without else only)
        found = [_errors(model, tested[name], list(tested.values())) for model in models]
        for kind, (missed, _) in zip(misses, found, strict=True):
            misses[kind].append(missed.value)
        passed = percent(_passed(models[-1], touching[name]))
        paper = f"{100 * _PAPER_MISSES[name]:.1f} %" if name in _PAPER_MISSES else ""
        rows.append([_words(name), *(percent(item) for pair in found for item in pair), passed, paper])
    return _shapes_section(given, rows, misses)


def _shapes_section(given: Evaluation, rows: list[list[str]], misses: Mapping[str, Sequence[float]]) -> Section:
    text = (
        "The model's network is trained anew, once from icosahedra alone, once from icosahedra that were stretched and "
        "carved at random (no other shape), and once for each shape from all others. One experiment like the paper's "
        "gives bright frames, of which the bad ones show several particles apart, or nothing. "
        f"The threshold lets {100 * _FALSE_POSITIVES:.1f} % of the bad frames of all shapes pass; FP is what "
        "came of it on the shape's own run. FN: single hits missed. The paper has no aggregates; beside it stands how "
        "many frames of touching particles pass at probability ½, none of which was learnt."
    )
    alone, ways = "icosahedra only", ("icosahedra only", "stretched and carved", "shape left out")
    measured = [column for way in ways for column in (f"{way}: FN", "FP")]
    columns = ["shape", *measured, "touching passed", f"the paper, {alone}: FN"]
    return Section(
        name="shapes",
        title="Shapes never seen",
        text=text,
        tables=[Table(caption="False negatives and positives", columns=columns, rows=rows)],
        pictures=[_misses_picture(given, misses)],
        figures={
            f"{kind} {name}": value
            for kind, some in misses.items()
            for name, value in zip(given.sizes.shapes, some, strict=True)
        },
    )


def _words(name: str) -> str:
    return name.replace("_", " ")


def _misses_picture(given: Evaluation, misses: Mapping[str, Sequence[float]]) -> EvaluationPicture:
    names = [_words(name) for name in given.sizes.shapes]
    return save_picture(
        given.pictures,
        "shapes",
        shares_figure(names, misses, x="single hits missed"),
        caption="Single hits of each shape that are missed, with the threshold at 0.5 % false positives.",
        alt="Bars of false negatives by particle shape for three ways to train.",
    )


def _trained(given: Evaluation, name: str, runs: Sequence[LabelledFrames]) -> HitModel:
    recipe = Recipe.like(given.model, epochs=given.sizes.epochs, seed=given.plan.seed)
    return given.models.trained(name, recipe, runs)


def _errors(model: HitModel, own: LabelledFrames, everything: Runs) -> tuple[Interval, Interval]:
    """Return false negatives and positives on a shape's run, the threshold being set on the bad frames of all."""
    bad = scored(model, everything)[~truths(everything)]
    chosen = scored(model, [own]) > float(np.quantile(bad, 1 - _FALSE_POSITIVES))
    missed = share(int(np.sum(~chosen[own.single])), int(own.single.sum()))
    return missed, share(int(np.sum(chosen[~own.single])), int((~own.single).sum()))


def _passed(model: HitModel, run: LabelledFrames) -> Interval:
    passed = scored(model, [run])[~run.single] > 0.5
    return share(int(passed.sum()), passed.size)


def depths(given: Evaluation) -> Section:
    """Train the paper's network at several depths."""
    training = given.data.paper(given.sizes.training_frames, test=False)
    found = []
    for n, m in given.sizes.depths:
        model = given.models.trained(f"resnet-{n}-{m}", given.paper_recipe(n, m), [training])
        found.append((model.card.figures["training_accuracy"], model.card.figures["validation_accuracy"]))
    rows = [
        [f"{n}, {m}", str(2 * n + 2 * m + 2), f"{100 * learnt:.2f} %", f"{100 * held:.2f} %"]
        for (n, m), (learnt, held) in zip(given.sizes.depths, found, strict=True)
    ]
    learnt_all, held_all = zip(*found, strict=True)
    picture = save_picture(
        given.pictures,
        "depths",
        depths_figure(given.sizes.depths, learnt_all, held_all),
        caption="Accuracy on the frames learnt from and on a tenth held back; the paper's Fig. 6 shows the same.",
        alt="Training and validation accuracy over the depth of the network.",
    )
    return Section(
        name="depths",
        title="How deep a network?",
        text="ResNet(n, m) has 2n layers of 32 and 2m layers of 64 channels. All learn from the same "
        f"{len(training.single)} frames for {given.sizes.epochs} epochs.",
        tables=[Table(caption="Accuracy over depth", columns=["n, m", "layers", "training", "validation"], rows=rows)],
        pictures=[picture],
        figures={
            f"{name} {n},{m}": value
            for (n, m), pair in zip(given.sizes.depths, found, strict=True)
            for name, value in zip(("training", "validation"), pair, strict=True)
        },
    )


def looks(given: Evaluation) -> Section:
    """Show what networks look at."""
    test = given.data.paper(given.sizes.test_frames, test=True)
    picked = _some_of_each(test)
    pictures = [*_paper_network_looks(given, picked), *_model_looks(given, picked)]
    return Section(
        name="looks",
        title="What the networks look at",
        text="Activation maps are a layer's channels for one single hit (the paper's Fig. 4). Grad-CAM weighs the last "
        "convolution's channels by how much the score depends on them (its Fig. 5): bright regions speak for a single "
        f"hit. VGG16 has {'ImageNet' if given.plan.vgg16 else 'RANDOM'} weights here.",
        pictures=pictures,
    )


def _some_of_each(run: LabelledFrames) -> LabelledFrames:
    half = _LOOKED_AT // 2
    return run.rows(np.concatenate([np.flatnonzero(kind)[:half] for kind in (run.single, ~run.single)]))


def _paper_network_looks(given: Evaluation, picked: LabelledFrames) -> list[EvaluationPicture]:
    model = given.paper_network()
    inputs = torch.from_numpy(Standardiser.from_statistics(model.statistics)(picked.frames, picked.mask))
    layers = convolutional_layers(model.network)
    chosen = [layers[0], layers[len(layers) // 2]]
    maps = activations(model.network, inputs[:1], chosen)
    network = vgg16(given.plan.vgg16)
    vgg_layers = ["features.2", "features.12"]
    vgg_maps = activations(network, inputs[:1].expand(-1, 3, -1, -1), vgg_layers)
    pictures = [
        _maps_picture(given, f"looks-{owner}-{index}", f"{owner}, layer {name}", found[name].numpy()[0])
        for owner, names, found in (("ResNet", chosen, maps), ("VGG16", vgg_layers, vgg_maps))
        for index, name in enumerate(names)
    ]
    seen = np.log1p(np.maximum(picked.frames.astype(float), 0))
    return [*pictures, _attention(given, "resnet", model, inputs, seen, picked)]


def _model_looks(given: Evaluation, picked: LabelledFrames) -> list[EvaluationPicture]:
    model = given.model
    require_known(model.card.preprocessing)
    if model.card.preprocessing != FRINGES:
        return []
    stretch = Frames(intensities=picked.frames, mask=picked.mask)
    made = PREPROCESSING[FRINGES]([stretch]).for_run(picked.frames, picked.mask)(picked.frames)
    return [_attention(given, "model", model, torch.from_numpy(made), made[:, SPECTRA[0]], picked)]


def _maps_picture(given: Evaluation, name: str, title: str, maps: NDArray[np.floating]) -> EvaluationPicture:
    return save_picture(
        given.pictures,
        name,
        activations_figure(maps, title=title),
        caption=f"{title}: the channels that vary most, for one single hit.",
        alt=f"Activation maps of {title}.",
    )


def _attention(
    given: Evaluation,
    name: str,
    model: HitModel,
    inputs: Tensor,
    seen: NDArray[np.floating],
    picked: LabelledFrames,
) -> EvaluationPicture:
    attention = grad_cam(model.network, inputs).numpy()
    single = scored(model, [picked])
    titles = tuple(f"{kind}\n{value:.0%} single" for kind, value in zip(picked.kind, single, strict=True))
    what = "on the frames, logarithmic" if name == "resnet" else "on the fringe spectrum, the first image it is given"
    return save_picture(
        given.pictures,
        f"looks-attention-{name}",
        attention_figure(seen, attention, titles=titles),
        caption=f"Grad-CAM of {model.card.name}, {what}. Below, with what spoke for a single hit.",
        alt=f"Frames with the regions on which {model.card.name} bases its score.",
    )


def speed(given: Evaluation) -> Section:
    """Time the model and the diffusion map."""
    sizes = given.sizes
    frames = given.data.large_frames()
    constants = given.model.measure(frames)
    given.model.score(frames[:64], run=constants)  # loads what is loaded once
    began = time.perf_counter()
    for first in range(0, sizes.speed_frames, len(frames)):
        given.model.score(frames[: sizes.speed_frames - first], run=constants)
    model_seconds = time.perf_counter() - began
    small = given.data.paper(sizes.map_frames, test=False)
    began = time.perf_counter()
    diffusion_map(frame_vectors(small.frames, small.mask))
    map_seconds = time.perf_counter() - began
    rows = [
        _timed(
            given.model.card.name, f"{sizes.speed_frames} of 256²", model_seconds, sizes.speed_frames, "7000 in 30 s"
        ),
        _timed("diffusion map", f"{sizes.map_frames} of 128²", map_seconds, sizes.map_frames, "7214 in 150 s"),
    ]
    return Section(
        name="speed",
        title="How long it takes",
        text=f"Wall time on this machine, {torch.get_num_threads()} threads, frames in memory. "
        "`friedel classify` reads and writes files beside that; its own benchmark times the whole.",
        tables=[Table(caption="Time", columns=["method", "frames", "time", "rate", "the papers"], rows=rows)],
        figures={"model seconds": model_seconds, "diffusion map seconds": map_seconds},
    )


def _timed(name: str, frames: str, seconds: float, count: int, paper: str) -> list[str]:
    return [name, frames, f"{seconds:.2f} s", f"{count / seconds:.0f} frames/s", paper]
