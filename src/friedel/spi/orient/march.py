"""Expand, maximise, compress, from coarse to fine."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.orient.expect import Expectation, expect, take_slices
from friedel.spi.orient.rings import RingFrames
from friedel.spi.orient.views import turned_views
from friedel.spi.orient.volume import (
    Merge, collect, friedel_mean, radii, sample, smooth_field, speckle_spectrum, spherical_mean,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Model:
    """A volume and its radial mean."""

    intensity: Tensor
    profile: Tensor

    @property
    def relative(self):
        n = self.intensity.shape[0]
        return self.intensity / spread(self.profile, n)


def size_for(q_max):
    return 2 * (math.ceil(q_max) + 2) + 1


def spread(profile: Tensor, n: int) -> Tensor:
    r = radii(n).clamp(max=len(profile) - 1.001)
    low = r.long()
    w = r - low
    return profile[low] * (1 - w) + profile[low + 1] * w


def frames_profile(frames: RingFrames, n_profile: int) -> Tensor:
    rings = frames.rings
    v = frames.counts.double().sum(0) / (len(frames) * frames.weights[0].real.double())
    v = np.interp(np.arange(n_profile), rings.q, v.numpy())
    return torch.tensor(v, dtype=torch.float32)


def random_model(frames, q_max, diameter, generator, strength=0.5):
    n = size_for(q_max)
    profile = frames_profile(frames, 2 * int(frames.rings.q[-1]) + 8)
    spec = speckle_spectrum(n, diameter * n)
    noise = torch.randn((n, n, n), generator=generator)
    from friedel.core.fourier import real_fourier_corner, inverse_real_fourier_corner
    noise = inverse_real_fourier_corner(real_fourier_corner(noise) * spec.sqrt(), noise.shape)
    noise = friedel_mean(noise)
    rel = (1 + strength * noise / noise.std()).clamp_min(0.05)
    return Model(intensity=rel * spread(profile, n), profile=profile)


def resized(model: Model, q_max) -> Model:
    n, m = size_for(q_max), model.intensity.shape[0]
    if n == m:
        return model
    new = spread(model.profile, n)
    k = min(n, m) // 2
    a, b = slice(n // 2 - k, n // 2 + k + 1), slice(m // 2 - k, m // 2 + k + 1)
    new[a, a, a] = model.intensity[b, b, b]
    return replace(model, intensity=new)


def merge(found: Expectation, points: Tensor, n: int) -> Merge:
    total = torch.zeros((n, n, n), dtype=torch.complex64)
    collect(total, points, torch.complex(found.photons, found.exposure))
    total = friedel_mean(total)
    return Merge(total.real.contiguous(), total.imag.contiguous())


def compress(m: Merge, old: Tensor, q_max, diameter, variance=0.7, iterations=15) -> Model:
    n = m.photons.shape[0]
    r = radii(n)
    shell = r.round().long()
    profile = old.clone()
    new = spherical_mean(m.photons, m.exposure, shell)
    k = min(int(q_max) + 1, len(new))
    ok = torch.isfinite(new[:k]) & (new[:k] > 0)
    profile[:k] = torch.where(ok, new[:k], profile[:k])
    g = spread(profile, n)
    x = smooth_field(m.photons.clamp_min(0), m.exposure.clamp_min(0) * g, speckle_spectrum(n, diameter * n), variance=variance, iterations=iterations)
    return Model(intensity=x.clamp_min(0.01) * g, profile=profile)


def step(model, frames, *, n_views, q_max, beta, diameter, rng, group, **kw):
    model = resized(model, q_max)
    n_rings = frames.rings.within(q_max)
    views = turned_views(n_views, rng, group)
    slices = take_slices(model.intensity, frames, views, n_rings)
    found = expect(frames, slices, beta=beta)
    n = model.intensity.shape[0]
    m = merge(found, slices.points, n)
    return compress(m, model.profile, q_max, diameter, **kw), found, m, views
