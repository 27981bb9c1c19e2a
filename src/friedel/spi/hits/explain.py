"""What a network looks at: the activations of any layer, and Grad-CAM. Works on every architecture; draws nothing."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from friedel.core.errors import PlanError

Score: TypeAlias = Callable[[Tensor], Tensor]


def single_against_other(scores: Tensor) -> Tensor:
    """Return the log odds of "single", ``(b,)``, from two scores ``(b, 2)``: what Grad-CAM explains by default."""
    return scores[:, 1] - scores[:, 0]


def convolutional_layers(network: nn.Module) -> tuple[str, ...]:
    """Return the names of a network's 2D convolutions, in the order they were built."""
    return tuple(name for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d))


def activations(network: nn.Module, inputs: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
    """Return what the named layers put out.

    Parameters
    ----------
    network : nn.Module
        Any network; it should be in evaluation mode.
    inputs : (b, c, h, w) float
        What it takes.
    layers : sequence of str
        Names of its modules ("first.0", "features.28").

    Returns
    -------
    mapping of str to Tensor
        Outputs, ``(b, channels, h, w)`` for a convolution.

    Raises
    ------
    PlanError
        If a layer doesn't exist, or took no part.
    """
    with torch.no_grad(), _listening(network, layers) as heard:
        network(inputs)
    _require_heard(heard, layers)
    return {name: heard[name].detach() for name in layers}


def grad_cam(
    network: nn.Module, inputs: Tensor, *, layer: str | None = None, score: Score = single_against_other
) -> Tensor:
    """Return where in each frame a network finds reasons for its score.

    The layer's channels, each weighted by the mean gradient of the score with respect to it, are added; what speaks
    against the score (negative) is cut off.

    Parameters
    ----------
    network : nn.Module
        In evaluation mode. Its weights and their gradients stay as they are.
    inputs : (b, c, h, w) float
        What it takes.
    layer : str, optional
        A layer with an output ``(b, channels, h', w')``; the last convolution if not given.
    score : callable
        From the network's output to one number per frame, ``(b,)``.

    Returns
    -------
    (b, h, w) float32 in [0, 1]
        Scaled to each frame's maximum; all 0 where no channel raises the score.

    Raises
    ------
    PlanError
        If the layer doesn't exist, or has no spatial output.

    References
    ----------
    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017,
    equations 1 and 2.
    """
    convolutions = convolutional_layers(network)
    if layer is None and not convolutions:
        raise PlanError(f"{type(network).__name__} has no convolution; name a layer for Grad-CAM")
    name = layer or convolutions[-1]
    with torch.enable_grad(), _listening(network, [name]) as heard:
        # Inputs that need gradients reach a layer even where the weights before it are frozen.
        total = score(network(inputs.detach().clone().requires_grad_())).sum()
        _require_heard(heard, [name])
        seen = heard[name]
        if seen.ndim != 4:
            raise PlanError(f"layer {name!r} puts out {tuple(seen.shape)}; Grad-CAM needs (b, channels, h, w)")
        (gradient,) = torch.autograd.grad(total, seen)
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    found = functional.relu((weights * seen.detach()).sum(dim=1, keepdim=True))
    sized = functional.interpolate(found.float(), size=inputs.shape[-2:], mode="bilinear", align_corners=False)[:, 0]
    return sized / sized.amax(dim=(1, 2), keepdim=True).clamp(min=torch.finfo(sized.dtype).tiny)


@contextmanager
def _listening(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    modules = dict(network.named_modules())
    unknown = [name for name in layers if name not in modules]
    if unknown:
        known = ", ".join(name for name in modules if name)
        raise PlanError(f"{type(network).__name__} has no layer {unknown[0]!r}; its layers: {known}")
    heard: dict[str, Tensor] = {}

    def listener(name: str) -> Callable[[nn.Module, Any, Tensor], None]:
        return lambda module, given, output: heard.update({name: output})

    hooks = [modules[name].register_forward_hook(listener(name)) for name in layers]
    try:
        yield heard
    finally:
        for hook in hooks:
            hook.remove()


def _require_heard(heard: dict[str, Tensor], layers: Sequence[str]) -> None:
    silent = [name for name in layers if name not in heard]
    if silent:
        raise PlanError(f"layer {silent[0]!r} takes no part in the network's forward pass; name another")
