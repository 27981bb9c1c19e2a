"""What kind of pattern is it, and on which grids is it phased? Found once, before any phasing."""

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.measured import Measured, measured_from, with_coherence
from friedel.bcdi.phasing.iterations.multiscale import central_part, compact_shape, limited_shape, start_shape
from friedel.bcdi.phasing.iterations.support import autocorrelation_excess, autocorrelation_support
from friedel.bcdi.phasing.options import PhasingOptions
from friedel.bcdi.phasing.refine import is_low_dose
from friedel.bcdi.records import Diffraction

# Voxels an axis of the starts' grid has at least where photons are few, and voxels that the object shall have there:
# only the central part's phases can be found by projections.
_SHORTEST_DIM, _DIM_START_VOXELS = 16, 300
# Share of the box that the autocorrelation's halved region may fill; above it, the autocorrelation is aliased.
_TIGHT_BOX = 0.25
# Unknown voxels leak into the autocorrelation, so that it can't tell whether a pattern is clean. Up to this size it is
# taken for clean, as a climb in vain costs 10 CPU-s; from 80³ (11 CPU-s) to 128³ that grows to a minute.
_MOST_UNSURE = 72**3
# Between what simulated and real patterns have, see `autocorrelation_excess`.
_MOST_EXCESS = 2.0
# Share of the photons outside the coarse grid above which it cuts the peak. Crystals strained by one turn leave 1.5 to
# 2.4 % outside 32³ of 64³, those of two to six turns 3 to 14 %.
_OUTSIDE = 0.025
# Rounds after the first are for strongly strained crystals, too, and strain needs resolution.
_SHORTEST_LATER = 32


@dataclass(frozen=True, eq=False)
class Grids:
    """A pattern's central parts, all of one field of view; for small patterns they are the same.

    Attributes
    ----------
    start, later : Measured
        Just fine enough to find the object: for the first round of starts, and for those that follow.
    middle : Measured
        To choose the support on.
    fine : Measured
        The whole pattern.
    """

    start: Measured
    later: Measured
    middle: Measured
    fine: Measured

    def blurred(self, widths: Tensor) -> "Grids":
        """Return the grids with a blur of partial coherence; its widths ``(3,)`` in voxels are the same on all."""
        return Grids(*(with_coherence(one, widths) for one in (self.start, self.later, self.middle, self.fine)))


class Regime:
    """What kind of pattern it is.

    Parameters
    ----------
    diffraction : Diffraction
        The pattern.
    options : PhasingOptions
        Held-out voxels and the size of the starts' grid.
    seed : int
        Of the held-out voxels.
    device : torch.device
        Where its arrays live.
    """

    def __init__(self, diffraction: Diffraction, options: PhasingOptions, seed: int, device: torch.device) -> None:
        self.diffraction, self.seed, self.device = diffraction, seed, device
        self.fine = measured_from(diffraction, held_out_fraction=options.held_out, seed=seed, device=device)
        self.middle = central_part(self.fine, limited_shape(self.fine.shape, options.choice_voxels))
        self.object_voxels = int(autocorrelation_support(self.middle).sum())
        self.low_dose = is_low_dose(self.fine)
        self.tight = self.object_voxels > _TIGHT_BOX * self.middle.intensity.numel()
        wanted = _DIM_START_VOXELS if self.low_dose else options.start_voxels
        least = max(options.start_shortest, _SHORTEST_LATER)
        coarse = start_shape(self.fine.shape, self.object_voxels, wanted, shortest=least)
        self.coarse = compact_shape(self.fine, coarse, outside=_OUTSIDE)
        self.strained = self.coarse != coarse

    @cached_property
    def roomy(self) -> bool:
        """Whether stages can take an object to the photon limit: many photons, room in the box, nothing alien."""
        unsure = not self.diffraction.mask.all() and math.prod(self.fine.shape) <= _MOST_UNSURE
        clean = unsure or autocorrelation_excess(self.fine) < _MOST_EXCESS
        return clean and not (self.low_dose or self.tight)

    def grids(self, voxels: int, shortest: int) -> Grids:
        """Return the grids for starts on which the object has about so many voxels, and no axis fewer than shortest."""
        later = max(shortest, _SHORTEST_LATER)
        if self.low_dose:
            # Starts on fringes of few photons go wrong; the refinement, whose likelihood knows their noise, adds them.
            voxels, shortest, later = _DIM_START_VOXELS, _SHORTEST_DIM, _SHORTEST_DIM
        first, second = (self._part(voxels, least) for least in (shortest, later))
        return Grids(first, second, self.middle, self.fine)

    def _part(self, voxels: int, shortest: int) -> Measured:
        shape = start_shape(self.middle.shape, self.object_voxels, voxels, shortest=shortest)
        return central_part(self.middle, shape)
