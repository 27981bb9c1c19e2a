"""A trained classifier with all that makes scores of frames: preparation, network, calibration, selection.

`load_model` gives one by name or path; `friedel.classify` is the short way.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from friedel.core.errors import WeightsError
from friedel.core.machine.device import quick_in_bfloat16, resolve_device
from friedel.core.networks import ModelCard, WeightsStamp, load_statistics, load_weights, weights_stamp
from friedel.spi.hits.features.features import NAME as FRINGES
from friedel.spi.hits.features.features import model_input
from friedel.spi.hits.features.fringes import fringe_visibility
from friedel.spi.hits.features.out_of_distribution import out_of_distribution_score
from friedel.spi.hits.features.polar import Polar, polar_sums
from friedel.spi.hits.preparation.prepare import Prepared, RunConstants, checked_mask, prepare
from friedel.spi.hits.preparation.run_calibration import measure_run, picked_frames
from friedel.spi.hits.preparation.standardise import Standardiser
from friedel.spi.hits.probability.blanks import Background, blank_probability
from friedel.spi.hits.probability.calibration import calibration_from, log_odds
from friedel.spi.hits.sizes.roundness import unround
from friedel.spi.hits.sizes.spheroid import measured_sizes
from friedel.spi.networks.hitnet import HitNet, fuses_layers
from friedel.spi.records import FrameStatus, HitScores, joined_scores, no_scores

BATCH = 256
"""Frames scored at once: enough to keep the cores busy, few enough to stay in their caches."""

# Used where a model's card names no other. In simulated runs with as many bad frames as single hits 0.8 selects with a
# precision of 96 to 99 %; 0.92 with 98 to 99 %, but loses one more elongated body in five, seen from the side mostly.
_SINGLE_FROM = 0.8
RUN_BIAS = "run_bias"
"""Entry of a model's card: which share of its hits' odds a run's bias is."""
FRINGES_FROM = 3.0
"""Least fringe visibility of the default selection: noise alone reaches it in one frame of 200."""
# A background found in weak hits of one kind would call them blanks. Of 180 blanks of made-up runs none reaches more.
_SURELY_NO_BLANK = 0.9
# A run's bias is measured on at least so many hits, from what nine in ten of them reach.
_FEWEST_HITS, _A_TENTH = 20, 0.1
_SUREST = 1e-6  # of 1 − p: float32 knows few probabilities nearer to 1
_REJECT = (0.1, 0.9)  # probabilities between which more than one decision in ten is wrong
# One pixel in so many tells of most frames that they aren't constant.
_GLANCE = 61

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class HitModel:
    """A classifier of single hits.

    Attributes
    ----------
    network : nn.Module
        On its device, in evaluation mode, with ``features`` and ``scores``.
    card : ModelCard
        What is known of it; ``extra`` holds calibration and thresholds.
    statistics : mapping of str to Tensor
        Arrays beside the weights: the preprocessing's, and ``feature_mean`` and ``feature_whitening``.
    device : torch.device
        Where it computes.
    """

    network: nn.Module
    card: ModelCard
    statistics: dict[str, Tensor]
    device: torch.device

    @property
    def name(self) -> str:
        """Name and first part of the hash of the weights."""
        return f"{self.card.name} {self.card.sha256[:12]}".strip()

    @property
    def fringes_from(self) -> float:
        """Least fringe visibility of the default selection."""
        return _number(self.card, "fringes_from", FRINGES_FROM)

    @property
    def single_from(self) -> float:
        """Least probability of a single hit of the default selection."""
        return _number(self.card, "single_from", _SINGLE_FROM)

    def measure(
        self,
        frames: NDArray[Any],
        mask: NDArray[np.bool_] | None = None,
        *,
        centre: tuple[float, float] | None = None,
    ) -> RunConstants:
        """Measure what a run's frames have in common, to score its parts alike (`measure_run`), blanks included."""
        measured = checked_mask(frames, mask)
        sample = frames[picked_frames(frames, measured)]
        constants = measure_run(sample, measured, centre=centre)
        if not len(sample):
            return constants
        prepared = prepare(sample, measured, constants)
        constants = replace(constants, background=Background.measured(polar_sums(prepared)))
        return replace(constants, bias=self._bias(sample, measured, prepared, constants))

    def score(
        self, frames: NDArray[Any], mask: NDArray[np.bool_] | None = None, *, run: RunConstants | None = None
    ) -> HitScores:
        """Score frames.

        Parameters
        ----------
        frames : (n, y, x), any real dtype
            Photons or detector units, at least 64²; NaN where unknown.
        mask : (y, x) bool, optional
            True where the detector measures. Blind and hot pixels are found without it.
        run : RunConstants, optional
            From `measure` on a sample of the run; without it these frames are the sample.

        Raises
        ------
        InputError
            If the frames aren't such an array, or the mask doesn't fit them.
        """
        measured = checked_mask(frames, mask)
        constants = run or self.measure(frames, measured)
        if not len(frames):
            return no_scores(self.name)
        firsts = range(0, len(frames), BATCH)
        return joined_scores([self._batch(frames[k : k + BATCH], measured, constants) for k in firsts])

    def features(
        self, frames: NDArray[Any], mask: NDArray[np.bool_] | None = None, *, run: RunConstants | None = None
    ) -> Array:
        """Return the network's description of each frame, ``(n, d)`` float32: what its last layer sees."""
        measured = checked_mask(frames, mask)
        constants = run or measure_run(frames, measured)
        parts = [
            self._features(frames[k : k + BATCH], measured, prepare(frames[k : k + BATCH], measured, constants))
            for k in range(0, len(frames), BATCH)
        ]
        return torch.cat(parts).cpu().numpy() if parts else np.zeros((0, self.head.in_features), dtype=np.float32)

    @property
    def head(self) -> nn.Linear:
        """The network's last layer, (d) → 2 scores; index 1 is "single hit"."""
        scores = self.network.scores
        if not isinstance(scores, nn.Linear):
            raise WeightsError(f"{self.name}: architecture {self.card.architecture!r} has no linear layer 'scores'")
        return scores

    @torch.no_grad()
    def _features(self, frames: NDArray[Any], mask: NDArray[np.bool_], prepared: Prepared) -> Tensor:
        quick = quick_in_bfloat16(self.device)
        fused = quick and self.device.type == "cpu" and isinstance(self.network, HitNet) and fuses_layers()
        images = self._input(frames, mask, prepared, torch.bfloat16 if fused else torch.float32)
        images = images.to(self.device, memory_format=torch.channels_last)
        if fused:
            return self.network.quick_features(images).float()  # type: ignore[operator]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=quick):
            described: Tensor = self.network.features(images)  # type: ignore[operator]
        return described.float()

    def _input(self, frames: NDArray[Any], mask: NDArray[np.bool_], prepared: Prepared, dtype: torch.dtype) -> Tensor:
        if self.card.preprocessing == FRINGES:
            return model_input(prepared, dtype)
        return torch.from_numpy(Standardiser.from_statistics(self.statistics)(frames, mask)).to(dtype)

    @torch.no_grad()
    def _seen(
        self, frames: NDArray[Any], mask: NDArray[np.bool_], prepared: Prepared, constants: RunConstants
    ) -> "_Seen":
        described = self._features(frames, mask, prepared)
        scores = self.head(described)
        status = _status(prepared)
        scored = status == FrameStatus.SCORED
        around, background = polar_sums(prepared), constants.background
        fringes = fringe_visibility(around) / (1.0 if background is None else background.structure)
        alone = calibration_from(_calibration(self.card))((scores[:, 1] - scores[:, 0]).cpu().numpy())
        empty = blank_probability(around, fringes, background).numpy() * _may_be_blank(alone)
        single = _less_sure(alone * (1 - empty), constants.bias)
        kept = (np.where(scored, values, 0.0).astype(np.float32) for values in (fringes.numpy(), empty, single))
        return _Seen(status, described, around, *kept)

    def _bias(
        self, frames: NDArray[Any], mask: NDArray[np.bool_], prepared: Prepared, constants: RunConstants
    ) -> float:
        """Return a run's bias, from a sample of its frames: a share of the odds that its hits have beyond the least.

        How sure the network is of a hit goes with brightness, detector and kind of particle, which a run's frames
        share; and as sure as it is of the hits, so far do its bad frames reach. The share is in the model's card.
        """
        share = _number(self.card, RUN_BIAS, 0.0)
        if not share:
            return 0.0
        seen = self._seen(frames, mask, prepared, constants)
        hits = seen.single[(seen.fringes >= self.fringes_from) & (seen.single >= self.single_from)]
        if len(hits) < _FEWEST_HITS:
            return 0.0
        least = log_odds(self.single_from)
        return share * float(np.quantile(log_odds(np.minimum(hits, 1 - _SUREST)), _A_TENTH) - least)

    @torch.no_grad()
    def _batch(self, frames: NDArray[Any], mask: NDArray[np.bool_], constants: RunConstants) -> HitScores:
        seen = self._seen(frames, mask, prepare(frames, mask, constants), constants)
        scored = seen.status == FrameStatus.SCORED
        low, high = _number(self.card, "reject_low", _REJECT[0]), _number(self.card, "reject_high", _REJECT[1])
        shown = seen.fringes >= self.fringes_from
        unlike = out_of_distribution_score(seen.described, self.statistics)
        return HitScores(
            single=seen.single,
            blank=seen.blank,
            fringes=seen.fringes,
            out_of_distribution=unlike.cpu().numpy().astype(np.float32),
            reject_band=scored & (seen.blank < 0.5) & (seen.single > low) & (seen.single < high),
            good=scored & shown & (seen.single >= self.single_from),
            status=seen.status,
            model=self.name,
            **_sizes(seen.around, scored & shown & (seen.single > low)),
        )


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is seen in frames: features, polar sums, and scores ``(n,)``, 0 for frames without a score."""

    status: NDArray[np.uint8]
    described: Tensor
    around: Polar
    fringes: Array
    blank: Array
    single: Array


def _less_sure(single: NDArray[np.float64], bias: float) -> NDArray[np.float64]:
    """Return probabilities whose log odds are so much lower."""
    return single if bias == 0 else single / (single + (1 - single) * np.exp(bias))


def _may_be_blank(alone: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by what a blank's probability is multiplied where the network is sure of a single hit, ``(n,)``."""
    return np.minimum((1 - alone) / (1 - _SURELY_NO_BLANK), 1.0)


def _sizes(around: Polar, wanted: NDArray[np.bool_]) -> dict[str, Any]:
    """Return size and roundness of the frames wanted, NaN for the others, by their names in `HitScores`."""
    rows = torch.from_numpy(np.flatnonzero(wanted))
    hits = around.rows(rows)
    sizes = measured_sizes(hits).placed(rows, len(wanted))
    angular = torch.full((len(wanted),), torch.nan)
    angular[rows] = unround(hits)
    return {
        "diameter": sizes.diameter.numpy(),
        "diameter_error": sizes.diameter_error.numpy(),
        "fluence": sizes.forward.numpy(),
        "asphericity": sizes.asphericity.numpy(),
        "unround": angular.numpy(),
    }


def load_model(model: str | Path = "default", *, device: str | torch.device | None = None) -> HitModel:
    """Load a classifier.

    Parameters
    ----------
    model : str or path
        Name of a shipped model, or the file or folder of one you trained or adapted.
    device : str or torch.device, optional
        "cpu" or "cuda"; None takes a GPU if there is one.

    Raises
    ------
    WeightsError
        If there is no such model, or its files are damaged.
    """
    where = resolve_device(device)
    network, card = load_weights(model)
    quick = network.folded() if isinstance(network, HitNet) else network.eval()
    placed = quick.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return HitModel(placed, card, load_statistics(model), where)


def kept_model(model: str | Path = "default", *, device: str | torch.device | None = None) -> HitModel:
    """Return a classifier as `load_model`, but keep it: the next call returns it at once, unless its files changed.

    Raises
    ------
    WeightsError
        As `load_model`.
    """
    return _kept(weights_stamp(model), resolve_device(device))


@lru_cache(maxsize=2)
def _kept(stamp: WeightsStamp, device: torch.device) -> HitModel:
    return load_model(stamp.path, device=device)


def _status(prepared: Prepared) -> NDArray[np.uint8]:
    """Return each frame's `FrameStatus`: masked where nothing was measured, constant where nothing differs."""
    known, photons = (prepared.known > 0).flatten(1), prepared.photons.flatten(1)
    status = torch.full((len(photons),), int(FrameStatus.SCORED), dtype=torch.uint8)
    # Most frames differ within a few of their pixels; only the others are looked through.
    doubtful = _all_equal(photons[:, ::_GLANCE], known[:, ::_GLANCE]).nonzero()[:, 0]
    equal = _all_equal(photons[doubtful], known.expand_as(photons)[doubtful])
    status[doubtful[equal]] = int(FrameStatus.CONSTANT)
    status[~known.any(1).expand(len(photons))] = int(FrameStatus.MASKED)
    return status.numpy()


def _all_equal(photons: Tensor, known: Tensor) -> Tensor:
    """Say of each row of photons ``(n, k)`` whether all those known are equal."""
    beyond = torch.zeros(known.shape).masked_fill_(~known, torch.inf)  # takes the unknown out of the running
    return (photons - beyond).amax(1) <= (photons + beyond).amin(1)


def _calibration(card: ModelCard) -> dict[str, Any]:
    return {"temperature": 1.0, **card.extra}


def _number(card: ModelCard, key: str, otherwise: float) -> float:
    value = card.extra.get(key, otherwise)
    return float(value) if isinstance(value, int | float) else otherwise
