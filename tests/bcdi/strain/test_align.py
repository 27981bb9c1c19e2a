"""One crystal onto another: known shifts, turns, twins and voxel sizes are found, and fields move with them."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from friedel.bcdi.strain.align import align
from friedel.core.errors import InputError


def _crystal(step=1.0, turn=None, offset=(0, 0, 0), inverted=False, n=32):
    """A skew box with a bent phase, sampled at ``step``; turned and moved in units of 1."""
    axes = np.stack(np.meshgrid(*[(np.arange(n) - n // 2) * step] * 3, indexing="ij"))
    r = axes - np.array(offset)[:, None, None, None]
    if turn is not None:
        r = np.einsum("ab,bzyx->azyx", turn.T, r)
    z, y, x = -r if inverted else r
    depth = np.minimum.reduce(
        [8 - abs(z), 6.5 - abs(y), 5 - abs(x), 8 - abs(z + 0.6 * y + 0.5 * x), 5 - 0.8 * x - 0.5 * y]
    )
    phase = 0.05 * x * y + 0.8 * np.sin(z / 5)
    psi = np.clip(depth + 0.5, 0, 1) * np.exp(1j * phase)
    field = np.where(depth > 0, 0.1 * z, np.nan)
    return (np.conj(psi) if inverted else psi).astype(np.complex64), -field if inverted else field


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("inverted", [False, True])
def test_place_turn_and_twin_are_found(seed, inverted):
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(np.deg2rad(4) * rng.normal(size=3) / 3**0.5)
    offset = rng.uniform(-3, 3, 3)
    fixed, field = _crystal()
    moving, moved_field = _crystal(turn=turn.as_matrix(), offset=offset, inverted=inverted)
    noise = 0.05 * (rng.normal(size=moving.shape) + 1j * rng.normal(size=moving.shape))
    found = align((moving * np.exp(0.7j) + noise).astype(np.complex64), fixed)
    assert found.inverted == inverted
    assert found.correlation > 0.97
    assert found.angle_deg == pytest.approx(np.rad2deg(turn.magnitude()), abs=0.5)
    back = found.scalar(moved_field, fixed.shape, odd=True)
    both = np.isfinite(back) & np.isfinite(field)
    assert both.sum() > 0.85 * np.isfinite(field).sum()
    assert np.sqrt(np.mean((back - field)[both] ** 2)) < 0.05  # half a voxel of a field that grows by 0.1 a voxel


def test_other_voxels_are_no_obstacle():
    fixed, _ = _crystal()
    moving, _ = _crystal(step=0.8, n=40)
    found = align(moving, fixed, scale=1.25)
    assert found.correlation > 0.97
    assert np.abs(found.shift).max() < 0.3
    assert not found.inverted


def test_an_empty_object_is_refused():
    fixed, _ = _crystal()
    with pytest.raises(InputError, match="zero everywhere"):
        align(np.zeros_like(fixed), fixed)
