"""The project's own phasing network: from a diffraction amplitude to its phase in reciprocal space.

Convolutions over cells of 2³ voxels relate the phases of neighbouring fringes; attention over the whole pattern decides
on one of the twins everywhere. Predicting the reciprocal-space phase follows Masto et al., arXiv:2507.06644.
How the phase becomes an object, and how the input is prepared, is decided elsewhere.
"""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from friedel.bcdi.networks.phase_unet import convolution_pair, exact_where_tiny, logarithmic, unit_phasor
from friedel.core.errors import PlanError

_CELL = 2  # voxels of a cell's edge: `PhaseFormer` says what it saves


class PhaseFormer(nn.Module):
    """Predict the reciprocal-space phase of a diffraction amplitude, as a phasor.

    The amplitude's logarithm is folded into cells of 2³ voxels, which makes everything after four times cheaper on a
    CPU than convolutions at full size. Two convolutions and a halving for each width; attention among all the cells of
    the coarsest map; then back, with the map of the same size joined at each level, and the cells unfolded.

    Parameters
    ----------
    widths : sequence of int
        Channels at a half, a quarter, an eighth ... of the full size.
    layers : int
        Layers of attention.
    heads : int
        Heads of each; the last width must be a multiple.
    size : int
        Voxels of the (cubic) grid along each axis: places are learnt, so it is fixed.

    Raises
    ------
    PlanError
        If one of them is out of range.
    """

    gives = "diffraction"

    def __init__(
        self, widths: Sequence[int] = (32, 64, 192), *, layers: int = 4, heads: int = 6, size: int = 32
    ) -> None:
        super().__init__()
        _check(widths, layers, heads, size)
        self.size, steps = size, list(itertools.pairwise(widths))
        cells = _CELL**3
        self.stem = nn.Sequential(
            nn.Conv3d(cells, widths[0], 3, padding=1, bias=False), nn.BatchNorm3d(widths[0]), nn.ReLU(inplace=True)
        )
        self.down = nn.ModuleList(convolution_pair(first, last) for first, last in [(widths[0], widths[0]), *steps])
        self.place = nn.Parameter(0.02 * torch.randn(1, (size // 2 ** len(widths)) ** 3, widths[-1]))
        self.whole = nn.ModuleList(Attention(widths[-1], heads) for _ in range(layers))
        self.up = nn.ModuleList(nn.ConvTranspose3d(last, first, 2, stride=2) for first, last in reversed(steps))
        self.joined = nn.ModuleList(convolution_pair(2 * first, first) for first, _ in reversed(steps))
        self.phasor = nn.Conv3d(widths[0], 2 * cells, 3, padding=1)

    def forward(self, amplitude: Tensor) -> Tensor:
        """Return cosine and sine of the phase, ``(b, 2, n, n, n)``, of amplitudes ``(b, 1, n, n, n)``.

        Raises
        ------
        PlanError
            If n isn't the network's size.
        """
        if tuple(amplitude.shape[1:]) != (1, self.size, self.size, self.size):
            raise PlanError(f"this PhaseFormer needs (b, 1) × {self.size}³ amplitudes, got {tuple(amplitude.shape)}")
        seen, kept = self.stem(_folded(logarithmic(amplitude))), []
        for number, pair in enumerate(self.down):
            seen = exact_where_tiny(pair, seen if number == 0 else functional.max_pool3d(seen, 2))
            kept.append(seen)
        seen = self._whole(seen)
        for up, pair, beside in zip(self.up, self.joined, reversed(kept[:-1]), strict=True):
            seen = pair(torch.cat([up(seen), beside], dim=1))
        return unit_phasor(_unfolded(self.phasor(seen)))

    def _whole(self, seen: Tensor) -> Tensor:
        tokens = seen.flatten(2).transpose(1, 2) + self.place
        for layer in self.whole:
            tokens = layer(tokens)
        whole = tokens.transpose(1, 2).reshape(seen.shape)
        return whole.contiguous(memory_format=torch.channels_last_3d)


def _check(widths: Sequence[int], layers: int, heads: int, size: int) -> None:
    if not widths or min(widths) < 1 or layers < 1 or heads < 1 or widths[-1] % heads:
        raise PlanError(
            "PhaseFormer needs widths and layers of at least 1 and a last width that is a multiple of heads, "
            f"got {list(widths)}, {layers}, {heads}"
        )
    if size < 1 or size % 2 ** len(widths):
        raise PlanError(f"PhaseFormer with {len(widths)} widths needs a multiple of {2 ** len(widths)}, got {size}")


def _folded(image: Tensor) -> Tensor:
    """Return ``(b, 1, n, n, n)`` as ``(b, 8, n/2, n/2, n/2)``: a cell's voxels become channels."""
    batch, half = len(image), image.shape[-1] // _CELL
    cells = image.reshape(batch, half, _CELL, half, _CELL, half, _CELL).permute(0, 2, 4, 6, 1, 3, 5)
    folded = cells.reshape(batch, _CELL**3, half, half, half)
    return folded.contiguous(memory_format=torch.channels_last_3d)


def _unfolded(cells: Tensor) -> Tensor:
    """Return ``(b, 16, n/2, n/2, n/2)`` as ``(b, 2, n, n, n)``, float32."""
    batch, half = len(cells), cells.shape[-1]
    parts = cells.float().reshape(batch, 2, _CELL, _CELL, _CELL, half, half, half)
    return parts.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(batch, 2, *(_CELL * half,) * 3)


class Attention(nn.Module):
    """One transformer layer: attention among all tokens, then a perceptron for each, both added to their input.

    Written out in plain products: for a few dozen tokens in bf16 on a CPU, the fused kernels' gradients take several
    times longer than the products themselves.

    Parameters
    ----------
    width : int
        Values per token.
    heads : int
        Independent looks; ``width`` is a multiple.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.looks, self.seen = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.thought = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens ``(b, n, width)`` after the layer."""
        batch, count, width = tokens.shape
        looks = self.looks(self.before_looking(tokens)).reshape(batch, count, 3, self.heads, -1)
        query, key, value = looks.permute(2, 0, 3, 1, 4)
        alike = query @ key.transpose(-1, -2) / (width // self.heads) ** 0.5
        found = alike.softmax(-1).to(value.dtype) @ value
        tokens = tokens + self.seen(found.transpose(1, 2).reshape(batch, count, width))
        return tokens + self.thought(self.before_thinking(tokens))
