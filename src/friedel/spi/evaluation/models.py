"""The classifiers that an evaluation compares, each trained once and kept in the evaluation's folder."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from friedel.core.errors import WeightsError
from friedel.core.networks import MODEL_FILE, ModelCard, build_network, save_weights
from friedel.core.observer import Observer, silent
from friedel.core.training.examples import Examples
from friedel.core.training.options import TrainingOptions
from friedel.spi.diffusion.diffusion_map import DiffusionOptions, diffusion_map
from friedel.spi.diffusion.frame_vectors import frame_vectors
from friedel.spi.evaluation.data import LabelledFrames
from friedel.spi.hits.clusters import label_by_neighbours
from friedel.spi.hits.features.features import NAME as FEATURES
from friedel.spi.hits.features.features import SPECTRA
from friedel.spi.hits.last_layer import Head, adapt_head
from friedel.spi.hits.model import HitModel, load_model
from friedel.spi.hits.preparation.standardise import Standardiser
from friedel.spi.hits.transfer import FeatureRegression, TransferOptions, vgg16_features
from friedel.spi.networks.vgg16 import VGG16, load_vgg16
from friedel.spi.records import Frames
from friedel.spi.training.classifier import score, train_classifier
from friedel.spi.training.preprocessing import PREPROCESSING, require_known

Floats = NDArray[np.float64]
_HELD_FOR_VALIDATION = 0.1  # share of the training frames; the test frames are others


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network to train: its architecture, what it is shown, and for how long."""

    architecture: str
    options: dict[str, Any]
    preprocessing: str
    epochs: int
    seed: int = 0

    @classmethod
    def paper(cls, n: int, m: int, *, epochs: int, seed: int) -> "Recipe":
        """Return the paper's ResNet(n, m).

        Parameters
        ----------
        n, m : int
            Depth and width as the paper names them.
        epochs : int
            Of the training.
        seed : int
            Of weights and order.
        """
        return cls(
            architecture="resnet", options={"n": n, "m": m}, preprocessing="standardise", epochs=epochs, seed=seed
        )

    @classmethod
    def like(cls, model: HitModel, *, epochs: int, seed: int) -> "Recipe":
        """Return the recipe of a model of the same kind, to be trained anew."""
        card = model.card
        return cls(
            architecture=card.architecture,
            options=dict(card.options),
            preprocessing=card.preprocessing,
            epochs=epochs,
            seed=seed,
        )


class EvaluationModels:
    """Trained models by name, in one folder.

    Parameters
    ----------
    folder : Path
        Where they are kept.
    observer : Observer
        Hears progress.
    """

    def __init__(self, folder: Path, observer: Observer = silent) -> None:
        self._folder, self._observer = folder, observer

    def trained(self, name: str, recipe: Recipe, runs: Sequence[LabelledFrames]) -> HitModel:
        """Return the model of this name, trained now or by an earlier call.

        Its card's figures are ``training_accuracy`` and ``validation_accuracy``.
        """
        folder = self._folder / f"{name}-{_key(recipe, runs)}"
        try:
            return load_model(folder / MODEL_FILE, device="cpu")
        except WeightsError:  # not there yet
            folder.mkdir(parents=True, exist_ok=True)
        inputs, statistics = _inputs(recipe, runs)
        labels = np.concatenate([run.single for run in runs])
        network, figures = self._fit(recipe, Examples(inputs=inputs, labels=labels), folder)
        card = ModelCard(
            name=name,
            architecture=recipe.architecture,
            options=recipe.options,
            preprocessing=recipe.preprocessing,
            seed=recipe.seed,
            figures=figures,
        )
        save_weights(folder / MODEL_FILE, network, card, statistics=statistics)
        return load_model(folder / MODEL_FILE, device="cpu")

    def _fit(self, recipe: Recipe, whole: Examples, folder: Path) -> tuple[nn.Module, dict[str, float]]:
        training, validation = whole.split(_HELD_FOR_VALIDATION, rng=np.random.default_rng(recipe.seed))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            network = build_network(recipe.architecture, recipe.options)
        # Few frames still make a dozen steps an epoch.
        options = TrainingOptions(
            epochs=recipe.epochs,
            batch=min(128, max(16, len(training) // 12)),
            centred_channels=SPECTRA if recipe.preprocessing == FEATURES else (),
        )
        logs = folder / "training"
        fitted = train_classifier(
            network, training, validation, options, folder=logs, seed=recipe.seed, observer=self._observer
        )
        figures = {
            "validation_accuracy": fitted.figures["accuracy"],
            "training_accuracy": _accuracy(fitted.network, training),
        }
        return fitted.network, figures


def _key(recipe: Recipe, runs: Sequence[LabelledFrames]) -> str:
    """Return a hash of what a model is made from: another recipe or other frames make another model."""
    digest = hashlib.sha256(repr(recipe).encode())
    for run in runs:
        digest.update(run.single.tobytes() + np.ascontiguousarray(run.frames[:1]).tobytes())
    return digest.hexdigest()[:12]


def _inputs(recipe: Recipe, runs: Sequence[LabelledFrames]) -> tuple[NDArray[np.float16], dict[str, torch.Tensor]]:
    require_known(recipe.preprocessing)
    stretches = (Frames(intensities=run.frames, mask=run.mask) for run in runs)
    preprocessing = PREPROCESSING[recipe.preprocessing](stretches)
    inputs = np.empty((sum(len(run.single) for run in runs), *preprocessing.shape), dtype=np.float16)
    first = 0
    for run in runs:
        inputs[first : first + len(run.single)] = preprocessing.for_run(run.frames, run.mask)(run.frames)
        first += len(run.single)
    return inputs, preprocessing.statistics()


def _accuracy(network: nn.Module, examples: Examples) -> float:
    return float(np.mean((score(network, examples) > 0) == examples.truth))


def scored(model: HitModel, runs: Sequence[LabelledFrames]) -> Floats:
    """Return the model's probabilities of all frames, run after run, ``(n,)``."""
    return np.concatenate([model.score(run.frames, run.mask).single for run in runs]).astype(np.float64)


def truths(runs: Sequence[LabelledFrames]) -> NDArray[np.bool_]:
    """Return which of all frames are single hits, run after run, ``(n,)``."""
    return np.concatenate([run.single for run in runs])


def adapted_run(model: HitModel, run: LabelledFrames, *, labels: int, seed: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Adapt a model to a run from some labels a class; return probabilities and truth of all other frames.

    Parameters
    ----------
    model : HitModel
        The model to adapt.
    run : LabelledFrames
        The run.
    labels : int
        Labels of each class that are known.
    seed : int
        Decides which frames those are.
    """
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(kind))[:labels] for kind in (run.single, ~run.single)])
    features = model.features(run.frames, run.mask)
    found = adapt_head(features[known], run.single[known], Head.of(model.network), run=features)
    rest = np.setdiff1d(np.arange(len(run.single)), known)
    logits = found.head.logits(features[rest]) / found.temperature
    return 1 / (1 + np.exp(-logits)), run.single[rest]


def transfer(
    training: LabelledFrames, tests: Sequence[LabelledFrames], weights: Path | None, *, observer: Observer = silent
) -> list[Floats]:
    """Return the probabilities by VGG16's features and a logistic regression, test by test.

    Without the published weights the network has random ones: an architecture's features, not ImageNet's.

    Parameters
    ----------
    training : LabelledFrames
        What the regression learns from.
    tests : sequence of LabelledFrames
        What it is tried on.
    weights : Path or None
        ImageNet's weights of VGG16.
    observer : Observer
        Hears progress.
    """
    network = vgg16(weights)
    standardiser = Standardiser.fit([Frames(intensities=training.frames, mask=training.mask)])

    def features(run: LabelledFrames) -> NDArray[np.float32]:
        return vgg16_features(network, standardiser(run.frames, run.mask), observer=observer)

    options = TransferOptions(weights=weights or Path("random"))
    regression = FeatureRegression.fit(features(training), training.single, options)
    return [1 / (1 + np.exp(-regression.logits(features(test)))) for test in tests]


def vgg16(weights: Path | None) -> VGG16:
    """Return VGG16 without its fully connected layers, with published or with random weights."""
    if weights is not None:
        return load_vgg16(weights, fully_connected=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(16)
        return VGG16(fully_connected=False).eval()


def by_diffusion_map(run: LabelledFrames, *, labels: int, seed: int) -> tuple[Floats, NDArray[np.bool_]]:
    """Map a run, name its frames by some labelled ones; return probabilities and truth of all other frames."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(kind))[:labels] for kind in (run.single, ~run.single)])
    made = diffusion_map(frame_vectors(run.frames, run.mask), DiffusionOptions(seed=seed))
    shares = label_by_neighbours(made.coordinates, known, run.single[known], neighbours=min(5, labels))
    rest = np.setdiff1d(np.arange(len(run.single)), known)
    return shares[rest], run.single[rest]
