"""Transfer learning as in the paper: 8192 features of VGG16 trained on ImageNet, and a logistic regression on them.

The frames come standardised (`friedel.spi.hits.preparation.standardise`). The regression is saved as numbers, never as
a pickle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self, TypeAlias

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from sklearn.linear_model import LogisticRegression

from friedel.core.errors import InputError, WeightsError
from friedel.core.files.atomic import replacing
from friedel.core.observer import Observer, Progress, silent
from friedel.core.options import Options
from friedel.spi.networks.vgg16 import VGG16, Output

Layers: TypeAlias = Literal["pool5", "fc"]
# The paper's "8192 feature maps in the last two layers" can be read in both ways.
_OUTPUTS: Mapping[str, tuple[Output, ...]] = {"pool5": ("pool5",), "fc": ("fc6", "fc7")}


class TransferOptions(Options):
    """VGG16's features and the regression on them."""

    weights: Path
    """torchvision's published ImageNet weights, ``vgg16-397923af.pth``."""
    layers: Layers = "pool5"
    """``pool5``: 4 × 4 × 512 at 128²; ``fc``: fc6 and fc7, 4096 each, of frames resized to 224²."""
    inverse_penalty: Annotated[float, Field(gt=0)] = 0.01
    """C of the regression on standardised features: smaller holds the coefficients closer to zero."""
    iterations: Annotated[int, Field(ge=1)] = 500
    """Most iterations of the regression's solver."""


def vgg16_features(
    network: VGG16,
    inputs: NDArray[np.floating],
    *,
    layers: Layers = "pool5",
    batch: int = 32,
    observer: Observer = silent,
) -> NDArray[np.float32]:
    """Return VGG16's features of standardised frames, given to it as grey images.

    Parameters
    ----------
    network : VGG16
        In evaluation mode; with its fully connected layers for ``fc``.
    inputs : (n, 1, 128, 128) float
        About zero mean and unit variance, as ImageNet's images are given to it.
    layers : "pool5" or "fc"
        Which layers' outputs.
    batch : int
        Frames at a time.
    observer : Observer
        Hears progress.

    Returns
    -------
    (n, 8192) float32
    """
    if inputs.ndim != 4 or inputs.shape[1] != 1:
        raise InputError(f"VGG16 takes one image a frame, inputs (n, 1, y, x); got {inputs.shape}")
    found: list[NDArray[np.float32]] = []
    for start in range(0, len(inputs), batch):
        grey = torch.from_numpy(np.ascontiguousarray(inputs[start : start + batch])).float()
        with torch.inference_mode():
            outputs = network.outputs(grey.expand(-1, 3, -1, -1), _OUTPUTS[layers])
        found.append(torch.cat([values.flatten(1) for values in outputs.values()], dim=1).numpy())
        observer(Progress("VGG16 features", min(start + batch, len(inputs)), len(inputs)))
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class FeatureRegression:
    """A logistic regression on features.

    Attributes
    ----------
    coefficients : (d,) float64
        Log odds per unit of each feature.
    intercept : float
        Log odds where all features are zero.
    layers : str
        Which layers of VGG16 the features are from.
    """

    coefficients: NDArray[np.float64]
    intercept: float
    layers: Layers

    @classmethod
    def fit(cls, features: NDArray[np.floating], labels: ArrayLike, options: TransferOptions) -> Self:
        """Fit to features ``(n, d)`` and labels ``(n,)``, 1 for a single hit.

        Raises
        ------
        InputError
            If labels don't match, or are all alike.
        """
        truth = np.asarray(labels).astype(bool)
        if truth.shape != (len(features),):
            raise InputError(f"labels {truth.shape} don't fit {len(features)} frames; one for each is needed")
        if truth.all() or not truth.any():
            raise InputError(f"{truth.sum()} of {truth.size} frames are labelled single: both classes are needed")
        mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        scale = np.divide(1, deviation, out=np.zeros_like(deviation), where=deviation > 0)
        regression = LogisticRegression(C=options.inverse_penalty, max_iter=options.iterations)
        regression.fit((features - mean) * scale, truth)
        # The scaling goes into the coefficients: what is saved works on raw features.
        coefficients = regression.coef_[0] * scale
        return cls(coefficients, float(regression.intercept_[0] - coefficients @ mean), options.layers)

    def logits(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the log odds of "single", ``(n,)``, of features ``(n, d)``."""
        if features.ndim != 2 or features.shape[1] != len(self.coefficients):
            raise InputError(f"the regression takes {len(self.coefficients)} features a frame, got {features.shape}")
        return features @ self.coefficients + self.intercept

    def save(self, path: str | Path) -> None:
        """Write to a safetensors file, which appears whole or not at all.

        Raises
        ------
        InputError
            If it can't be written.
        """
        arrays = {"coefficients": self.coefficients, "intercept": np.array([self.intercept])}
        with replacing(Path(path)) as unfinished:
            unfinished.write_bytes(save(arrays, metadata={"layers": self.layers}))

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        WeightsError
            If the file is missing or isn't a regression.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                layers = (file.metadata() or {})["layers"]
                arrays = {name: file.get_tensor(name) for name in ("coefficients", "intercept")}
        except (OSError, SafetensorError, KeyError) as error:
            raise WeightsError(f"{path}: not a saved regression ({error}); fit it again or check the path") from error
        if layers not in _OUTPUTS:
            raise WeightsError(f"{path}: made for VGG16's {layers!r}; known: {', '.join(_OUTPUTS)}")
        return cls(arrays["coefficients"], float(arrays["intercept"][0]), layers)
