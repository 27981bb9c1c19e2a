"""VGG16 with the parameter names of torchvision's published ImageNet file, for features of frames. Trains nothing.

K. Simonyan and A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", arXiv:1409.1556,
configuration D. The published file is ``vgg16-397923af.pth``; this package neither ships nor downloads it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from friedel.core.errors import WeightsError

PUBLISHED_FILE = "vgg16-397923af.pth"
FC_SIDE = 224
"""Side of the images, pixels, that the fully connected layers were made for: pool5 is then 7 × 7 × 512."""

# Channels of the convolutions between two poolings, block by block (configuration D).
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_HIDDEN, _CLASSES = 4096, 1000

Output: TypeAlias = Literal["pool1", "pool2", "pool3", "pool4", "pool5", "fc6", "fc7", "fc8"]


class VGG16(nn.Module):
    """Thirteen convolutions, five poolings and three fully connected layers.

    The children are ``features`` (0 … 30) and ``classifier`` (0 … 6), so that the parameters are called
    ``features.0.weight`` … ``classifier.6.bias``, as in the published file.

    Parameters
    ----------
    fully_connected : bool
        Build ``classifier`` too: 124 of the 138 million parameters, which pool5 doesn't need.
    """

    def __init__(self, *, fully_connected: bool = True) -> None:
        super().__init__()
        self.features = _convolutions()
        self.classifier = _fully_connected() if fully_connected else None

    def forward(self, images: Tensor) -> Tensor:
        """Return what the last layer built says of images ``(b, 3, h, w)``: fc8 ``(b, 1000)``, or else pool5."""
        last: Output = "pool5" if self.classifier is None else "fc8"
        return self.outputs(images, (last,))[last]

    def outputs(self, images: Tensor, names: tuple[Output, ...]) -> dict[str, Tensor]:
        """Return the outputs called ``names``.

        Parameters
        ----------
        images : (b, 3, h, w) float
            About zero mean and unit variance, as ImageNet's images are given to it; h and w at least 32. Images of
            128² give pool5 as 4 × 4 × 512 = 8192 values. On the way to the fully connected layers images of another
            side than 224 are resized to 224², bilinearly; pool5 asked for beside them is still that of the images
            as they come.
        names : tuple of str
            Of pool1 … pool5, ``(b, channels, h / 2^k, w / 2^k)``; fc6, fc7, ``(b, 4096)``, after their ReLU; and fc8,
            ``(b, 1000)``.

        Raises
        ------
        WeightsError
            If a fully connected layer is asked for and this network was built without them.
        """
        pooled = self._pooled(images, names)
        wanted_fc = [name for name in names if name.startswith("fc")]
        connected = self._connected(images, wanted_fc) if wanted_fc else {}
        return {name: (pooled | connected)[name] for name in names}

    def _pooled(self, images: Tensor, names: tuple[Output, ...]) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        last = max((int(name[-1]) for name in names if name.startswith("pool")), default=0)
        for layer in self.features:
            if len(found) == last:
                break
            images = layer(images)
            if isinstance(layer, nn.MaxPool2d):
                found[f"pool{len(found) + 1}"] = images
        return found

    def _connected(self, images: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        if self.classifier is None:
            raise WeightsError(
                f"{', '.join(names)}: this VGG16 was built without them; use VGG16(fully_connected=True)"
            )
        if images.shape[-2:] != (FC_SIDE, FC_SIDE):
            images = functional.interpolate(images, size=(FC_SIDE, FC_SIDE), mode="bilinear", align_corners=False)
        found: dict[str, Tensor] = {}
        values = self.features(images).flatten(1)
        for name, layers in (("fc6", slice(0, 2)), ("fc7", slice(2, 5)), ("fc8", slice(5, 7))):
            values = self.classifier[layers](values)
            found[name] = values
        return found


def load_vgg16(path: str | Path, *, fully_connected: bool = True) -> VGG16:
    """Build VGG16 with the weights of a published file, ready to use (in evaluation mode).

    Parameters
    ----------
    path : path
        ``vgg16-397923af.pth`` as torchvision publishes it, or the same tensors as ``.safetensors``.
    fully_connected : bool
        Load fc6 … fc8 too.

    Raises
    ------
    WeightsError
        If the file is missing, can't be read, isn't what its name's hash says, or its
        names and shapes aren't VGG16's.
    """
    tensors = _read(Path(path))
    wanted = {k: v for k, v in tensors.items() if fully_connected or not k.startswith("classifier.")}
    with torch.device("meta"):  # no time and no memory for random numbers that would be replaced at once
        network = VGG16(fully_connected=fully_connected)
    try:
        network.load_state_dict(wanted, assign=True)
    except RuntimeError as error:
        raise WeightsError(
            f"{path}: these are not VGG16's weights ({_in_one_line(error)}); the file needed is {PUBLISHED_FILE}"
        ) from None
    return network.eval()


def _convolutions() -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for block in _BLOCKS:
        for wide in block:
            layers += [nn.Conv2d(channels, wide, 3, padding=1), nn.ReLU()]
            channels = wide
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def _fully_connected() -> nn.Sequential:
    side = FC_SIDE // 2 ** len(_BLOCKS)
    return nn.Sequential(
        nn.Linear(_BLOCKS[-1][-1] * side**2, _HIDDEN),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(_HIDDEN, _HIDDEN),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(_HIDDEN, _CLASSES),
    )


def _read(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise WeightsError(
            f"{path}: no such file. VGG16 needs torchvision's published ImageNet weights, {PUBLISHED_FILE} (528 MiB); "
            "fetch it where you may and give its path"
        )
    _check_name(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the damage leads to: KeyError, UnpicklingError, RuntimeError, …
        reason = f"{type(error).__name__}: {_in_one_line(error)}"
        raise WeightsError(
            f"{path}: can't be read as weights ({reason}); the file needed is {PUBLISHED_FILE}"
        ) from error
    if not isinstance(tensors, dict) or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise WeightsError(
            f"{path}: holds {type(tensors).__name__}, not named tensors; the file needed is {PUBLISHED_FILE}"
        )
    return tensors


def _check_name(path: Path) -> None:
    # Published files carry the beginning of their SHA-256 in their name.
    promised = re.search(r"-([0-9a-f]{8,64})$", path.stem)
    if promised is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(promised[1]):
        raise WeightsError(
            f"{path}: its SHA-256 begins with {found[:8]}, not {promised[1]} as its name says; "
            "it is damaged, copy it again"
        )


def _in_one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
