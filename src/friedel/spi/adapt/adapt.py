"""Adapt a model to a new experiment: a run, some labels and a shipped model in; a model file of the user's out."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from friedel.core.files.atomic import appearing
from friedel.core.networks import MODEL_FILE, ModelCard, load_statistics, load_weights, save_weights
from friedel.core.observer import Note, Observer, Warned, silent
from friedel.spi.adapt.labelled_run import FeatureModel, count_frames, sample_run
from friedel.spi.frames.files import FrameFiles
from friedel.spi.frames.labels import FrameLabels, read_labels
from friedel.spi.hits.last_layer import Adapted, AdaptOptions, Head, adapt_head
from friedel.spi.hits.model import RUN_BIAS
from friedel.spi.hits.probability.calibration import Isotonic, Platt, Temperature, calibration_from

_SAMPLE = 600  # frames by which features are standardised: their mean is then known to 1/√600 = 4 % of the spread
_WORTH_IT = 10  # labels of a class below which the accuracy, then known to 16 % (½/√10), is called a rough guess


@dataclass(frozen=True, eq=False, kw_only=True)
class AdaptResult:
    """What adapting leaves behind.

    Attributes
    ----------
    path : Path
        Folder of the model; ``friedel classify --model`` takes it.
    adapted : Adapted
        The new last step, and its accuracy on labels left out of the fit.
    n_single, n_other : int
        Labels of each class.
    seconds : float
        From the first read to the last write.
    """

    path: Path
    adapted: Adapted
    n_single: int
    n_other: int
    seconds: float


def adapt_to_run(
    files: FrameFiles,
    labels: Path,
    output: Path,
    scorer: FeatureModel,
    *,
    model: str | Path = "default",
    options: AdaptOptions | None = None,
    observer: Observer = silent,
) -> AdaptResult:
    """Adapt a model to a run from labelled frames, and save it.

    Parameters
    ----------
    files : FrameFiles
        The run, one file.
    labels : Path
        CSV with the columns ``frame`` and ``label``.
    output : Path
        Folder for the adapted model.
    scorer : FeatureModel
        The loaded model, which describes the frames.
    model : str or path
        Name or path of its weights.
    options : AdaptOptions, optional
        How strongly the labels may change it.
    observer : Observer
        Hears what was found.

    Raises
    ------
    InputError
        If run or labels can't be used, or a class has fewer than two labels.
    WeightsError
        If the model's weights can't be read, or it has no last step that can be adapted.
    """
    began = time.perf_counter()
    known = read_labels(labels, n_frames=count_frames(files))
    network, card = load_weights(model)
    with appearing(output) as unfinished:
        shipped = _calibrated_head(network, card)
        adapted = _adapt(files, known, shipped, scorer, options, observer)
        _tell(adapted, known, observer)
        # The temperature goes into the head: what is saved needs no further calibration.
        sure = Head(adapted.head.weights / adapted.temperature, adapted.head.bias / adapted.temperature)
        sure.put_into(network)
        written = _card(card, adapted, known, files)
        save_weights(unfinished / MODEL_FILE, network, written, statistics=load_statistics(model))
    return AdaptResult(
        path=output,
        adapted=adapted,
        n_single=int(known.single.sum()),
        n_other=int((~known.single).sum()),
        seconds=time.perf_counter() - began,
    )


def _calibrated_head(network: nn.Module, card: ModelCard) -> Head:
    head = Head.of(network)
    match calibration_from({Temperature.KEY: 1.0, **card.extra}):
        case Platt(temperature=scale, bias=shift):
            return Head(head.weights / scale, head.bias / scale + shift)
        case Temperature(temperature=scale):
            return Head(head.weights / scale, head.bias / scale)
    return head


def _adapt(
    files: FrameFiles,
    known: FrameLabels,
    shipped: Head,
    scorer: FeatureModel,
    options: AdaptOptions | None,
    observer: Observer,
) -> Adapted:
    sample = sample_run(files, scorer, size=_SAMPLE, also=known.frames, observer=observer)
    features = sample.features[sample.rows(known.frames)]
    return adapt_head(features, known.single, shipped, run=sample.features, options=options)


def _tell(adapted: Adapted, known: FrameLabels, observer: Observer) -> None:
    few = min(int(known.single.sum()), int((~known.single).sum()))
    if few < _WORTH_IT:
        observer(Warned("labels", f"only {few} of one class: the accuracy is a rough guess; label 20 of each"))
    observer(
        Note(
            "adapted",
            f"{adapted.accuracy:.1%} of labels left out of the fit are right, {adapted.shipped_accuracy:.1%} with the "
            f"model as it was",
            {"strength": adapted.strength, "temperature": adapted.temperature},
        )
    )


def _card(card: ModelCard, adapted: Adapted, known: FrameLabels, files: FrameFiles) -> ModelCard:
    # Labels of the run itself know its bias.
    others = (Isotonic.KEY, Isotonic.VALUES, Platt.KEY, RUN_BIAS)
    kept = {name: value for name, value in card.extra.items() if name not in others}
    n_single, n_other = int(known.single.sum()), int((~known.single).sum())
    names = ", ".join(path.name for path in files.paths)
    own = f"Its last step was adapted to {names} from {n_single} single hits and {n_other} other frames."
    data = f"{card.data.rstrip('.')}. {own}"
    figures = {"adapted_accuracy": adapted.accuracy, "accuracy_before_adapting": adapted.shipped_accuracy}
    changed = {
        "name": f"{card.name}-adapted",
        "plan": "",
        "data": data.strip(),
        "figures": {name: float(np.round(value, 4)) for name, value in figures.items()},
        "limits": f"Adapted to one experiment; elsewhere use {card.name!r}. {card.limits}".strip(),
        "extra": {**kept, Temperature.KEY: 1.0},
    }
    return card.model_copy(update=changed)
