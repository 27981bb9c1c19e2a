"""Weights and what is known about them: a safetensors file and a JSON card beside it, checked by hash. No pickles.

Shipped models lie in ``weights/`` of each science's networks as NAME.safetensors (the numbers), NAME.json (the card)
and NAME.yaml (the plan that makes them again). A trained model in a folder of the user's has the same files.
"""

import copy
import hashlib
import json
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, resources
from pathlib import Path
from typing import Any, TypeAlias

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from friedel.core.errors import PlanError, WeightsError
from friedel.core.options import Options

HOMES = ("friedel.bcdi.networks", "friedel.spi.networks")
"""Packages with shipped weights (in their folder ``weights``); importing one registers its architectures."""

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {}
"""Constructor of every architecture, by the name that cards and plans use; `register` fills it. Open: add your own."""

SUFFIX, CARD_SUFFIX = ".safetensors", ".json"
MODEL_FILE = "model" + SUFFIX
"""Name of the weights inside the folder of a trained model."""

_STATISTICS = "statistics."
Figure: TypeAlias = float | list[float] | list[list[float]]


class ModelCard(Options):
    """What a set of weights is, how it was made, what it can do and where it fails."""

    name: str
    """What the model is called, in files and reports."""
    architecture: str
    """Name of the constructor in `ARCHITECTURES`."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the constructor."""
    preprocessing: str = "none"
    """Name of what turns frames into the network's input."""
    sha256: str = ""
    """Hash of the safetensors file; `save_weights` fills it in."""
    plan: str = ""
    """Name of the plan file, beside the weights, that makes them again."""
    seed: int = 0
    """Seed of the training."""
    data: str = ""
    """What it was trained on, in a sentence or two."""
    figures: dict[str, float] = Field(default_factory=dict)
    """Measured quality, by name, each from a run."""
    limits: str = ""
    """Where it isn't to be trusted."""
    extra: dict[str, Figure] = Field(default_factory=dict)
    """Numbers that scoring needs beside the weights: the calibration's temperature, thresholds."""


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """What a training leaves in its folder.

    Attributes
    ----------
    card : ModelCard
        What the model is, with its figures.
    first : bool
        Whether this is the first of the processes that trained together: the one that wrote it.
    weights : Path
        The safetensors file; the card (``.json``) and the plan (``.yaml``) lie beside it.
    """

    card: ModelCard
    weights: Path
    first: bool = True


def register(**architectures: Callable[..., nn.Module]) -> None:
    """Make architectures known by name; a module that defines one calls this when it is imported."""
    ARCHITECTURES.update(architectures)


def known_architectures() -> dict[str, Callable[..., nn.Module]]:
    """Return every architecture by its name, those of this package's own rooms included."""
    for home in HOMES:
        import_module(home)
    return ARCHITECTURES


def build_network(architecture: str, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build a network by the name of its architecture, with fresh random weights.

    Raises
    ------
    WeightsError
        If no architecture has this name.
    PlanError
        If its constructor doesn't take these options.
    """
    known = known_architectures()
    if architecture not in known:
        raise WeightsError(f"unknown architecture {architecture!r}; known: {', '.join(sorted(known))}")
    try:
        return known[architecture](**(options or {}))
    except TypeError as error:
        raise PlanError(f"architecture {architecture!r} can't be built with {dict(options or {})}: {error}") from error


def save_weights(
    path: str | Path,
    network: nn.Module,
    card: ModelCard,
    *,
    statistics: Mapping[str, Tensor] | None = None,
    half: bool = False,
) -> ModelCard:
    """Write weights and card; each file appears whole or not at all.

    Parameters
    ----------
    path : path
        Where to put the weights (``.safetensors``); the card goes beside them as ``.json``.
    network : nn.Module
        The network that `ARCHITECTURES` builds from the card.
    card : ModelCard
        What is known; its ``sha256`` is replaced by the file's.
    statistics : mapping of str to Tensor, optional
        Arrays of the preprocessing (mean and deviation per pixel), kept in the same file.
    half : bool
        Keep kernels as float16: half the size, and finer than the bfloat16 that networks compute in. Offsets, scales
        and statistics stay as they are; `load_weights` gives float32 again.

    Returns
    -------
    ModelCard
        The card as written.
    """
    path = Path(path).with_suffix(SUFFIX)
    tensors = dict(network.state_dict()) | {_STATISTICS + key: value for key, value in (statistics or {}).items()}
    # Contiguous: training leaves weights channels-last, and safetensors keeps no strides.
    content = save({name: _kept(tensor, half=half).cpu().contiguous() for name, tensor in tensors.items()})
    written = card.model_copy(update={"sha256": hashlib.sha256(content).hexdigest()})
    _write(path, content)
    text = json.dumps(written.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False)
    _write(path.with_suffix(CARD_SUFFIX), (text + "\n").encode())
    return written


def _kept(tensor: Tensor, *, half: bool) -> Tensor:
    return tensor.detach().half() if half and tensor.ndim > 1 else tensor.detach()


def load_weights(name_or_path: str | Path) -> tuple[nn.Module, ModelCard]:
    """Load a model, ready to use (in evaluation mode, on the CPU).

    Parameters
    ----------
    name_or_path : str or path
        Name of a shipped model ("default"), a ``.safetensors`` file, or the folder that training left.

    Raises
    ------
    WeightsError
        If a file is missing or damaged, the hash is not the card's, the architecture is unknown, or the weights
        don't fit it.
    """
    card, tensors = _load(name_or_path)
    network = build_network(card.architecture, card.options)
    weights = {name: tensor for name, tensor in tensors.items() if not name.startswith(_STATISTICS)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(
            f"{name_or_path}: the weights don't fit architecture {card.architecture!r} with options {card.options} "
            f"({reason}); card and weights are from different models"
        ) from None
    return network.eval(), card


def load_statistics(name_or_path: str | Path) -> dict[str, Tensor]:
    """Return the preprocessing's arrays that `save_weights` kept beside the weights; empty if there are none.

    Raises
    ------
    WeightsError
        As for `load_weights`.
    """
    tensors = _load(name_or_path)[1]
    return {key.removeprefix(_STATISTICS): value for key, value in tensors.items() if key.startswith(_STATISTICS)}


def locate_weights(name_or_path: str | Path) -> Path:
    """Return the safetensors file that a shipped model's name, a file or a folder stands for.

    Raises
    ------
    WeightsError
        If there is no such file, or no shipped model of this name.
    """
    given = Path(name_or_path)
    if given.is_dir():
        given = given / MODEL_FILE
    elif given.name == str(name_or_path) and not given.suffix:
        return _shipped(str(name_or_path))
    if not given.is_file():
        raise WeightsError(f"{given}: no such weights; give a {SUFFIX} file, or the folder that training left")
    return given


@dataclass(frozen=True)
class WeightsStamp:
    """Identifies a state of a model's files: two stamps are equal as long as neither file was written in between.

    Attributes
    ----------
    path : Path
        The safetensors file.
    written_ns, n_bytes : tuple of int
        Time of writing and size, of weights and card.
    """

    path: Path
    written_ns: tuple[int, ...]
    n_bytes: tuple[int, ...]


def weights_stamp(name_or_path: str | Path) -> WeightsStamp:
    """Return what tells whether weights that were loaded are still those of the files; reads neither.

    Raises
    ------
    WeightsError
        If there is no such file, or no shipped model of this name.
    """
    path = locate_weights(name_or_path)
    states = [file.stat() for file in (path, path.with_suffix(CARD_SUFFIX)) if file.exists()]
    return WeightsStamp(path, tuple(s.st_mtime_ns for s in states), tuple(s.st_size for s in states))


def shipped_models() -> tuple[str, ...]:
    """Return the names of the models inside this package."""
    return tuple(sorted(_shipped_files()))


def _shipped(name: str) -> Path:
    files = _shipped_files()
    if name not in files:
        names = ", ".join(sorted(files)) or "none"
        raise WeightsError(f"no model called {name!r} is shipped (there are: {names}); or give a path to weights")
    return files[name]


def _shipped_files() -> dict[str, Path]:
    package = Path(str(resources.files("friedel")))
    folders = [package.joinpath(*home.split(".")[1:], "weights") for home in HOMES]
    return {path.stem: path for folder in folders for path in folder.glob("*" + SUFFIX)}


def _load(name_or_path: str | Path) -> tuple[ModelCard, dict[str, Tensor]]:
    path = locate_weights(name_or_path)
    card, content = _read_card(path.with_suffix(CARD_SUFFIX)), path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != card.sha256:
        raise WeightsError(
            f"{path}: its SHA-256 is {found[:12]}…, its card says {card.sha256[:12] or 'nothing'}…; "
            "the file is damaged or belongs to another card: copy both again"
        )
    try:
        return card, load(content)
    except SafetensorError as error:
        raise WeightsError(
            f"{path}: not a safetensors file ({error}); train the model again or copy it anew"
        ) from error


def _read_card(path: Path) -> ModelCard:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise WeightsError(
            f"{path}: the weights' card can't be read ({error.strerror}); it belongs beside them"
        ) from error
    except ValueError as error:
        raise WeightsError(f"{path}: the weights' card isn't JSON ({error}); copy it again") from error
    if not isinstance(values, dict):
        raise WeightsError(f"{path}: a card is a JSON object, got {type(values).__name__}; copy it again")
    try:
        return ModelCard.read(values, origin=str(path))
    except PlanError as error:
        raise WeightsError(f"{error}; the card may be of a newer version of this package") from None


def _write(path: Path, content: bytes) -> None:
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError as error:
        raise WeightsError(
            f"{path}: can't be written ({error.strerror}); check the folder, its permissions and free space"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def folded(network: nn.Module) -> nn.Module:
    """Return a copy, in evaluation mode, with batch normalisations folded into the 3D convolutions before them.

    Only what stands next to each other in a sequence is folded.
    """
    copied = copy.deepcopy(network).eval()
    for part in list(copied.modules()):
        if isinstance(part, nn.Sequential):
            _fold(part)
    return copied


def held_in_bfloat16(network: nn.Module) -> nn.Module:
    """Return the network with the weights of its convolutions and linear layers in bfloat16.

    Under autocast to bfloat16 its answers are the same to the bit, without casting every weight at each call.
    """
    for part in network.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)):
            part.to(torch.bfloat16)
    return network


def _fold(layers: nn.Sequential) -> None:
    for k in range(len(layers) - 1):
        first, second = layers[k], layers[k + 1]
        if isinstance(first, nn.Conv3d) and isinstance(second, nn.BatchNorm3d):
            layers[k], layers[k + 1] = fuse_conv_bn_eval(first, second), nn.Identity()
