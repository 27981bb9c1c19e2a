"""Patterns that don't turn: what a frame shows if it holds no particle, such as blanks, stray light, a fixed glow.

Each is one intensity on the detector, the same for all of its frames but for their brightness. A frame is compared with
the pattern that the others make, without itself: a pattern of few frames fits none of them by remembering it.
"""

import numpy as np
import scipy.sparse as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from friedel.spi.orient.rings import RingFrames

Floats = NDArray[np.float64]

_COMPARED = 2000  # frames of which all pairs are compared
_PHOTONS = 4.0  # of a frame in each of the cells by which it is compared: so many have nearly Gaussian roots
_WITHIN, _LEAST = 2.0, 5
"""Standard deviations of χ² within which frames are one pattern, and how many must be for a pattern to begin with."""


class StillPatterns:
    """Log-likelihoods of frames by patterns that don't turn, and the patterns.

    Parameters
    ----------
    frames : RingFrames
        The frames.
    n : int
        How many patterns.
    """

    def __init__(self, frames: RingFrames, n: int) -> None:
        self._frames, self.n = frames, n
        self._mask = np.zeros(len(frames), np.int64) if frames.mask is None else frames.mask.numpy()
        self._mean = (frames.mean / frames.weights[0].real).clamp_min(1e-12)

    def begin(self, rng: np.random.Generator) -> Tensor:
        """Return each frame's shares ``(n_frames, n)`` before anything is oriented: frames alike but for their noise.

        Hits in nearly one orientation are alike, too, but few of them are within noise.

        Parameters
        ----------
        rng : numpy Generator
            Which frames are compared, if they are many.
        """
        share = np.zeros((len(self._frames), self.n), np.float32)
        if self.n:
            chosen = np.sort(rng.permutation(len(self._frames))[:_COMPARED])
            same = self._same(chosen)
            for number in range(self.n):
                mates = same[same.sum(1).argmax()].copy()
                if mates.sum() < _LEAST:
                    break
                share[chosen[mates], number] = 1
                same[mates], same[:, mates] = False, False
        return torch.from_numpy(share)

    def _same(self, chosen: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which pairs of frames, ``(n, n)``, differ by no more than their photons' noise.

        By χ² of the roots of their shares of photons in cells, which have nearly the same variance everywhere.
        """
        pixels = self._frames.by_pixel
        photons = pixels.photons[chosen]
        counts = np.asarray(photons.sum(1), float)
        cells = max(float(np.median(counts)) / _PHOTONS, 2.0)
        edge = np.sqrt(np.pi * (pixels.q[-1, :2] ** 2).sum() / cells)
        cell = np.unique(np.round(pixels.q[:, :2] / edge), axis=0, return_inverse=True)[1].ravel()
        into = sp.csr_matrix((np.ones(len(cell)), (np.arange(len(cell)), cell)))
        roots = np.sqrt((photons @ into).toarray() / counts)
        apart = 2 * (1 - roots @ roots.T).clip(0)
        chi2, n = 4 * apart / (1 / counts + 1 / counts.T), into.shape[1]
        return chi2 < n + _WITHIN * np.sqrt(2 * n)

    def patterns(self, share: Tensor, n_pixels: int | None = None) -> tuple[Floats, Floats]:
        """Return each pattern's photons and exposure by pixel, ``(n, n_pixels)``, with one photon of its rings' mean.

        Parameters
        ----------
        share : (n_frames, n)
            Of each frame in each pattern.
        n_pixels : int, optional
            The first pixels, by distance from the beam's axis; None: all.
        """
        pixels = self._frames.by_pixel
        photons, weight = pixels.photons[:, :n_pixels], pixels.weight[:, :n_pixels].astype(float)
        counts = np.asarray(photons.sum(1)).ravel()
        mine = share.double().numpy()
        came = np.asarray((photons.T @ mine).T)
        overall = pixels.on_pixels(self._mean, weight.shape[1])
        bright = counts / (weight @ overall)[self._mask]
        by_mask = np.arange(len(weight))[:, None] == self._mask
        given = (mine.T * bright) @ by_mask.T @ weight
        ring = np.round(pixels.place[: weight.shape[1]]).astype(int)
        by_ring = sp.csr_matrix((np.ones(len(ring)), (np.arange(len(ring)), ring)))
        radial = (came @ by_ring + 1e-6) / (given @ by_ring + 1e-6)
        return came + 1, given + 1 / radial[:, ring]

    def on_detector(self, share: Tensor, n_pixels: int) -> NDArray[np.float32]:
        """Return the patterns relative to their mean on all of a detector's pixels, ``(n, n_pixels)``; NaN unmeasured.

        Parameters
        ----------
        share : (n_frames, n)
            Of each frame in each pattern.
        n_pixels : int
            Of the detector.
        """
        found = np.full((self.n, n_pixels), np.nan, np.float32)
        came, given = self.patterns(share)
        found[:, self._frames.by_pixel.number] = came / given / (came / given).mean(1, keepdims=True)
        return found

    def likely(self, share: Tensor, n_rings: int) -> Tensor:
        """Return log-likelihoods ``(n_frames, n)`` beyond those of the frames' radial mean.

        Parameters
        ----------
        share : (n_frames, n)
            Of each frame in each pattern.
        n_rings : int
            Rings within which pixels are compared.
        """
        pixels = self._frames.by_pixel
        n_pixels = pixels.within(n_rings)
        photons, weight = sp.csr_matrix(pixels.photons[:, :n_pixels]), pixels.weight[:, :n_pixels].astype(float)
        frame = np.repeat(np.arange(photons.shape[0]), np.diff(photons.indptr))
        counts = np.asarray(photons.sum(1)).ravel()
        found = []
        for came, given, mine in zip(*self.patterns(share, n_pixels), share.double().numpy().T, strict=True):
            own = mine[frame] * photons.data
            others = (came[photons.indices] - own) / given[photons.indices]
            per_photon = weight[self._mask[frame], photons.indices] / given[photons.indices]
            total = (weight @ (came / given))[self._mask] - np.bincount(frame, own * per_photon, len(counts))
            logs = np.bincount(frame, photons.data * np.log(others.clip(1e-12)), len(counts))
            found.append(logs - counts * np.log(total.clip(1e-12)))
        return torch.from_numpy(np.stack(found, 1)) - self.radial(n_rings, by_pixel=True)[:, None]

    def radial(self, n_rings: int, *, by_pixel: bool) -> Tensor:
        """Return frames' log-likelihood by their radial mean ``(n_frames,)``, on the pixels or on the rings.

        Parameters
        ----------
        n_rings : int
            Rings within which they are compared.
        by_pixel : bool
            How what it is taken off was computed.
        """
        pixels, frames = self._frames.by_pixel, self._frames
        if by_pixel:
            n_pixels = pixels.within(n_rings)
            mean, weight = pixels.on_pixels(self._mean, n_pixels).astype(float), pixels.weight[:, :n_pixels]
            photons = pixels.photons[:, :n_pixels]
            total = (weight @ mean)[self._mask]
            return torch.from_numpy(photons @ np.log(mean) - np.asarray(photons.sum(1)).ravel() * np.log(total))
        by_ring = self._mean[:n_rings].double()
        rings = frames.counts[:, :n_rings].double()
        by_mask = frames.weights[None] if frames.masks is None else frames.masks
        total = torch.from_numpy((by_mask[:, 0, :n_rings].real.double() @ by_ring).numpy()[self._mask])
        return rings @ by_ring.log() - rings.sum(1) * total.log()
