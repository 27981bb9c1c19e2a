"""How large the particle of a hit is, and how bright the beam was: a spheroid fitted to each pattern.

A grid of spheres finds the size from the rings; Gauss–Newton steps on sectors then fit brightness, background, size
and two numbers of the projected outline's elongation, by quasi-likelihood: counting noise, read noise, and a relative
error for what no spheroid explains (facets). Opposite sectors are added, so that a beam off the centre doesn't matter
to first order. Lengths are in pixels of the real-space image of the square of 128, wavelength × distance /
(128 × pixel).
"""

from dataclasses import dataclass, fields
from functools import cache
from typing import Self

import numpy as np
import torch
from torch import Tensor

from friedel.spi.hits.features.polar import RINGS, SECTORS, Polar
from friedel.spi.hits.preparation.prepare import EDGE

SMALLEST, LARGEST = 2.0, 42.0
"""Diameters looked for: from two thirds of a fringe in the square to fringes of three pixels."""
_GRID = 192  # diameters in equal ratios: steps of 1.6 %, well within a fringe of the largest
_STEPS = 4  # of Gauss–Newton, which begins within such a step of the best size
# What facets and cores make of a pattern, relative to a sphere's.
_MODEL_ERROR = 0.25
_LARGEST_ELONGATION = 0.85  # √(c² + s²): squared radii of 1.85 and 0.15, axes of 3.5 : 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Sizes:
    """Spheroids fitted to frames; all ``(n,)`` float32, NaN where the fit failed.

    Attributes
    ----------
    diameter : Tensor
        Of the sphere whose projection has the outline's area; pixels of the real-space image.
    diameter_error : Tensor
        Standard deviation, from the curvature of the likelihood and the misfit.
    forward : Tensor
        Photons a pixel that the particle alone would scatter along the beam.
    asphericity : Tensor
        1 − short / long axis of the projected outline.
    misfit : Tensor
        Mean squared residual in units of its expected variance; about 1 for a spheroid.
    """

    diameter: Tensor
    diameter_error: Tensor
    forward: Tensor
    asphericity: Tensor
    misfit: Tensor

    @classmethod
    def unknown(cls, n: int) -> Self:
        """Return unknown sizes (NaN) of ``n`` frames."""
        return cls(**{field.name: torch.full((n,), torch.nan) for field in fields(cls)})

    def placed(self, rows: Tensor, n: int) -> "Sizes":
        """Return these sizes at ``rows`` of ``n`` frames; the others are unknown."""
        whole = Sizes.unknown(n)
        for field in fields(self):
            getattr(whole, field.name)[rows] = getattr(self, field.name)
        return whole


def measured_sizes(frames: Polar) -> Sizes:
    """Fit a spheroid to each frame.

    Parameters
    ----------
    frames : Polar
        Frames of single particles; what others give means nothing.
    """
    if not len(frames):
        return Sizes.unknown(0)
    return _Spheroids(frames).fitted(*_sphere(*frames.rings(), frames.read_variance))


def _form(u: Tensor) -> tuple[Tensor, Tensor]:
    """Return f = 3 (sin u − u cos u)/u³, a sphere's amplitude, and df/du."""
    u = u.clamp_min(0.05)
    sine = u.sin()
    form = 3 * (sine - u * u.cos()) / u**3
    return form, 3 * (sine / u - form) / u


def sphere_rings(diameters: Tensor) -> Tensor:
    """Return the intensities of spheres of diameters ``(g,)`` in each ring, ``(g, 64)``, 1 along the beam."""
    # The mean over a ring's width: fine fringes fade in it.
    radii = torch.arange(RINGS)[:, None] + torch.tensor([-0.33, 0.0, 0.33])
    form, _ = _form(np.pi / EDGE * radii.clamp_min(0)[..., None] * diameters)
    return form.square().mean(1).T


@cache
def _spheres() -> tuple[Tensor, Tensor]:
    """Return the grid of diameters ``(g,)`` and the spheres' intensities in each ring ``(64, g)``, 1 along the beam."""
    diameters = torch.from_numpy(np.geomspace(SMALLEST, LARGEST, _GRID)).float()
    return diameters, sphere_rings(diameters).T.contiguous()


def _sphere(n: Tensor, a: Tensor, read_variance: float, about: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Return diameter, forward photons and flat background of the best sphere of the grid, of each row.

    Parameters
    ----------
    n, a : (rows, 64) float32
        Photons and measured pixels of rings, or of the same sector of them.
    read_variance : float
        Of a pixel.
    about : (rows,) float32, optional
        Diameters looked for are within a factor of 1.8 of these.
    """
    diameters, spheres = _spheres()
    variance = n.clamp_min(0) + read_variance * a + 1 + (_MODEL_ERROR * n) ** 2
    weight = (a > 0) / variance
    aa, an = weight * a * a, weight * a * n
    tt, t1, tn = aa @ spheres.square(), aa @ spheres, an @ spheres
    one, n1 = aa.sum(1, keepdim=True).clamp_min(1e-9), an.sum(1, keepdim=True)
    forward = ((tn * one - t1 * n1) / (tt * one - t1 * t1).clamp_min(1e-12)).clamp_min(0)
    background = ((n1 - forward * t1) / one).clamp_min(0)
    forward = ((tn - background * t1) / tt.clamp_min(1e-12)).clamp_min(1e-6)
    explained = 2 * (forward * tn + background * n1) - (
        forward**2 * tt + 2 * forward * background * t1 + background**2 * one
    )
    if about is not None:
        explained = explained.masked_fill((diameters / about[:, None]).log().abs() > np.log(1.8), -torch.inf)
    best = explained.argmax(1, keepdim=True)
    return diameters[best[:, 0]], forward.gather(1, best)[:, 0], background.gather(1, best)[:, 0]


class _Spheroids:
    """The fit of spheroids to half turns; parameters (log forward, background, log diameter, c, s).

    The squared radius of the projected outline goes as 1 + c cos 2θ + s sin 2θ.
    """

    def __init__(self, frames: Polar) -> None:
        # Sectors two by two: an outline's elongation needs no more.
        n, a = (values[:, ::2] + values[:, 1::2] for values in frames.half_turn())
        self.n, self.a, self.read_variance = n.flatten(1), a.flatten(1), frames.read_variance
        self.noise = frames.read_variance * self.a + 0.5
        self.angle = torch.arange(SECTORS // 4).add(0.5).mul(4 * np.pi / SECTORS)
        angle = self.angle[:, None].expand(-1, RINGS).flatten()
        self.cosine, self.sine = (2 * angle).cos(), (2 * angle).sin()
        self.radius = torch.arange(RINGS).float().repeat(SECTORS // 4)

    def fitted(self, diameter: Tensor, forward: Tensor, background: Tensor) -> Sizes:
        """Return the spheroids that fit best, begun at these spheres."""
        values = self._begun(forward, background, diameter)
        for _ in range(_STEPS):
            gap, weight, slopes = self._linear(values)
            normal, right = self._normal(gap, weight, slopes)
            values = self._kept(values + torch.linalg.solve(normal, right[..., None])[..., 0].clamp(-0.3, 0.3))
        gap, weight, slopes = self._linear(values)
        normal, _ = self._normal(gap, weight, slopes)
        return self._sizes(values, (weight * gap**2).sum(1) / (self.a > 0).sum(1).sub(5).clamp_min(1), normal)

    def _begun(self, forward: Tensor, background: Tensor, diameter: Tensor) -> Tensor:
        """Return the sphere, or what spheres fitted to single sectors make of it, whichever fits better."""
        zero = torch.zeros_like(diameter)
        outlines = ((diameter, zero, zero), self._elongation(diameter))
        starts = [
            self._kept(torch.stack([forward.log(), background, mean.log(), c, s], dim=1)) for mean, c, s in outlines
        ]
        misfits = []
        for values in starts:
            gap, weight, _ = self._linear(values)
            misfits.append((weight * gap**2).sum(1))
        return torch.where((misfits[1] < misfits[0])[:, None], starts[1], starts[0])

    def _elongation(self, diameter: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return a first mean diameter, c and s, from a sphere fitted to each sector alone."""
        sectors = len(self.angle)
        n, a = (values.reshape(-1, RINGS) for values in (self.n, self.a.expand_as(self.n)))
        each, _, _ = _sphere(n, a, self.read_variance, diameter.repeat_interleave(sectors))
        squared = each.reshape(-1, sectors).square()
        mean = squared.mean(1)
        c, s = (2 * (squared * turn).mean(1) / mean for turn in ((2 * self.angle).cos(), (2 * self.angle).sin()))
        return mean.sqrt(), c, s

    def _linear(self, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return residuals and weights ``(n, cells)`` and the model's slopes ``(n, 5, cells)``."""
        log_forward, background, log_diameter, c, s = values.T[..., None]
        squared = 1 + c * self.cosine + s * self.sine
        u = np.pi / EDGE * self.radius * log_diameter.exp() * squared.sqrt()
        form, slope = _form(u)
        light = self.a * log_forward.exp()
        sphere, growth = light * form.square(), 2 * light * form * slope * u
        model = sphere + self.a * background
        weight = (self.a > 0) / (model.clamp_min(0) + self.noise + (_MODEL_ERROR * model) ** 2)
        turned = 0.5 * growth / squared
        slopes = torch.stack([sphere, self.a.expand_as(model), growth, turned * self.cosine, turned * self.sine], 1)
        return self.n - model, weight, slopes

    def _normal(self, gap: Tensor, weight: Tensor, slopes: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normal matrix ``(n, 5, 5)``, damped, and the right-hand side ``(n, 5)``."""
        weighed = slopes * weight[:, None]
        normal = weighed @ slopes.mT
        damping = 1e-3 * torch.diag_embed(normal.diagonal(dim1=1, dim2=2)) + 1e-6 * torch.eye(5)
        # Outlines are near round unless the pattern says otherwise: a spread of one half.
        prior = torch.diag(torch.tensor([0.0, 0.0, 0.0, 4.0, 4.0]))
        return normal + damping + prior, (weighed @ gap[..., None])[..., 0]

    def _kept(self, values: Tensor) -> Tensor:
        """Return the parameters within what can be."""
        elongation = values[:, 3:].norm(dim=1, keepdim=True).clamp_min(1e-9)
        values[:, 3:] *= elongation.clamp_max(_LARGEST_ELONGATION) / elongation
        values[:, 1].clamp_min_(0)
        values[:, 2].clamp_(np.log(SMALLEST), np.log(LARGEST))
        return values

    def _sizes(self, values: Tensor, misfit: Tensor, normal: Tensor) -> Sizes:
        elongation = values[:, 3:].norm(dim=1)
        diameter = values[:, 2].exp() * (1 - elongation**2) ** 0.25
        # At the ends of what is looked for there is no size, only a failed fit.
        diameter[(diameter < 1.02 * SMALLEST) | (diameter > 0.97 * LARGEST)] = torch.nan
        error = torch.linalg.inv(normal)[:, 2, 2].clamp_min(0).sqrt() * misfit.clamp_min(1).sqrt()
        known = torch.where(torch.isfinite(diameter), 1.0, torch.nan)
        return Sizes(
            diameter=diameter,
            diameter_error=diameter * error,
            forward=values[:, 0].exp() * known,
            asphericity=(1 - ((1 - elongation) / (1 + elongation)).sqrt()) * known,
            misfit=misfit,
        )
