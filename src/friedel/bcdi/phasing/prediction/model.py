"""A network's prediction of the object behind a pattern: prepared, lifted to full resolution, relaxed, cut out.

A dozen projections relax it; nothing here refines it, and the fit it reaches is only measured.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from friedel.bcdi.networks.patterns import is_phasing_network, network_input, predicted_object
from friedel.bcdi.phasing.ambiguities import canonical
from friedel.bcdi.phasing.iterations.iterate import chi_of
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.projections import intensity_of
from friedel.bcdi.phasing.prediction.network_grid import OVERSAMPLING, NetworkGrid, network_pattern
from friedel.bcdi.phasing.prediction.relaxed import relaxed
from friedel.bcdi.phasing.prediction.symmetry import SYMMETRIES, Symmetry
from friedel.bcdi.records import Diffraction
from friedel.core.errors import WeightsError
from friedel.core.fourier import fourier_corner
from friedel.core.machine.device import quick_in_bfloat16, resolve_device
from friedel.core.machine.memory import in_smaller_batches
from friedel.core.machine.threads import single_thread, threads_for
from friedel.core.networks import ModelCard, WeightsStamp, folded, held_in_bfloat16, load_weights, weights_stamp
from friedel.core.observer import Observer, silent

DEFAULT = "phasing_default"
"""Name of the shipped weights that "default" stands for."""
PROJECTIONS = "8*HIO+4*ER"
"""What relaxes a prediction that is to be looked at."""
_SIZE = 32  # voxels of the grid's side, for cards that name none


@dataclass(frozen=True, eq=False, kw_only=True)
class Prediction:
    """A network's prediction.

    Attributes
    ----------
    object : (z, y, x) complex64
        On the pattern's grid, in the convention of docs/conventions.md, zero outside the support; its scale fits the
        pattern best.
    support : (z, y, x) bool
        Where it is.
    chi : float
        Misfit of its pattern on measured voxels.
    grid : NetworkGrid
        How the network's grid lay on the pattern's.
    """

    object: NDArray[np.complex64]
    support: NDArray[np.bool_]
    chi: float
    grid: NetworkGrid


@dataclass(frozen=True, eq=False)
class PhasingModel:
    """A trained phasing network, ready to use.

    Attributes
    ----------
    network : nn.Module
        In evaluation mode, on the device.
    card : ModelCard
        What is known of it; ``extra`` holds the size of its grid and the oversampling there.
    device : torch.device
        Where it computes.
    """

    network: nn.Module
    card: ModelCard
    device: torch.device

    @property
    def name(self) -> str:
        """Its name and the beginning of its weights' hash."""
        return f"{self.card.name} {self.card.sha256[:12]}"

    @property
    def size(self) -> int:
        """Voxels of its grid along each axis."""
        return int(self._number("grid_size", _SIZE))

    @property
    def oversampling(self) -> float:
        """Box over crystal that it was made for."""
        return self._number("oversampling", OVERSAMPLING)

    def predict(self, diffraction: Diffraction, *, projections: str = PROJECTIONS) -> Prediction:
        """Predict the object behind a pattern of any size and sampling.

        Parameters
        ----------
        diffraction : Diffraction
            Photons, and where they were measured.
        projections : str
            Schedule that relaxes the prediction (`relaxed`); empty: as the network gave it.

        Raises
        ------
        InputError
            If nothing was measured near the pattern's centre.
        """
        return self.predictions(diffraction, 1, projections=projections)[0]

    def predictions(
        self, diffraction: Diffraction, n: int, *, projections: str = "", observer: Observer = silent
    ) -> list[Prediction]:
        """Predict the object several times, from other sides of the same pattern (`symmetries`), the best fit first.

        Parameters
        ----------
        diffraction : Diffraction
            Photons, and where they were measured.
        n : int
            Number of predictions, 1 to 24.
        projections : str
            Schedule that relaxes each; empty where they are iterated further anyway.
        observer : Observer
            Hears if memory is too small to make them together.

        Raises
        ------
        InputError
            If nothing was measured near the pattern's centre.
        """
        size = diffraction.intensities.size
        with torch.inference_mode(), threads_for(size):
            pattern = network_pattern(diffraction, size=self.size, oversampling=self.oversampling)
        # Many at once gain by every thread. One takes some 10 ms: where cores are busy, its layers would wait for each
        # other's threads a hundred times as long.
        with torch.inference_mode(), single_thread() if n == 1 else nullcontext():
            objects = self._predicted(torch.from_numpy(pattern.intensities), SYMMETRIES[:n], observer)
        with torch.inference_mode(), threads_for(size):
            measured = measured_from(diffraction)
            found = [_finished(obj, pattern.grid, measured, projections) for obj in objects]
        return sorted(found, key=lambda prediction: prediction.chi)

    def _number(self, key: str, otherwise: float) -> float:
        value = self.card.extra.get(key, otherwise)
        if isinstance(value, list):
            raise WeightsError(
                f"{self.card.name}: the card's {key} is {value!r}, one number is expected; copy it again"
            )
        return float(value)

    def _predicted(
        self, intensities: torch.Tensor, symmetries: tuple[Symmetry, ...], observer: Observer
    ) -> list[NDArray[np.complex64]]:
        amplitude = network_input(torch.stack([symmetry.apply(intensities) for symmetry in symmetries])).to(self.device)
        shown = amplitude.contiguous(memory_format=torch.channels_last_3d)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=quick_in_bfloat16(self.device)):
            given = in_smaller_batches(self.network, shown, observer=observer)
        objects = predicted_object(given, amplitude, gives=str(self.network.gives)).cpu()
        return [_centred(symmetry.undo(obj).numpy()) for symmetry, obj in zip(symmetries, objects, strict=True)]


def load_phasing_model(
    name_or_path: str | Path = "default", *, device: str | torch.device | None = None
) -> PhasingModel:
    """Load a phasing network.

    Parameters
    ----------
    name_or_path : str or path
        "default", the name of a shipped model, a ``.safetensors`` file, or the folder that training left.
    device : str or torch.device, optional
        None takes a GPU if there is one.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged, or of a network that doesn't predict objects.
    """
    network, card = load_weights(DEFAULT if str(name_or_path) == "default" else name_or_path)
    if not is_phasing_network(network):
        raise WeightsError(
            f"{name_or_path}: {card.name!r} is a {card.architecture!r}, which doesn't predict objects; "
            "give the weights of `friedel train phasing`"
        )
    place = resolve_device(device)
    ready = folded(network).to(place, memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    return PhasingModel(held_in_bfloat16(ready) if quick_in_bfloat16(place) else ready, card, place)


def kept_phasing_model(
    name_or_path: str | Path = "default", *, device: str | torch.device | None = None
) -> PhasingModel:
    """Return a network as `load_phasing_model`, and keep it: the next call returns it at once, until its files change.

    Raises
    ------
    WeightsError
        As `load_phasing_model`.
    """
    stamp = weights_stamp(DEFAULT if str(name_or_path) == "default" else name_or_path)
    return _kept(stamp, resolve_device(device))


@lru_cache(maxsize=2)
def _kept(stamp: WeightsStamp, device: torch.device) -> PhasingModel:
    return load_phasing_model(stamp.path, device=device)


def _centred(obj: NDArray[np.complex64]) -> NDArray[np.complex64]:
    """Return an object moved, by whole voxels round the box, to the box's middle.

    Intensities don't tell where in its box an object lies, so a network may give it cut in two by the box's rim.
    """
    strength = np.abs(obj) ** 4  # so that weak amplitudes all over the box don't shift the centre
    for axis, n in enumerate(obj.shape):
        profile = strength.sum(axis=tuple(other for other in range(3) if other != axis))
        turn = np.exp(2j * np.pi * (np.arange(n) - n // 2) / n)
        centre = np.angle((profile * turn).sum()) * n / (2 * np.pi)
        obj = np.roll(obj, -round(float(centre)), axis)
    return obj


def _finished(obj: NDArray[np.complex64], grid: NetworkGrid, measured: Measured, projections: str) -> Prediction:
    """Lift a prediction to the pattern's grid, relax and cut it out, scale it, and see how well it fits."""
    cut, support = relaxed(torch.from_numpy(grid.lift(obj)), measured, projections)
    scaled = cut * _best_scale(cut, measured)
    chi = float(chi_of(scaled[None], measured)[0])
    found, inside = canonical(scaled.numpy(), support.numpy())
    return Prediction(object=found, support=inside, chi=chi, grid=grid)


def _best_scale(obj: torch.Tensor, measured: Measured) -> torch.Tensor:
    modulus = intensity_of(fourier_corner(obj)).sqrt() * measured.fitted
    return (modulus * measured.amplitude).sum() / modulus.square().sum().clamp_min(1e-30)
