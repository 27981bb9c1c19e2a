"""The diffusion map against manifolds whose eigenfunctions and eigenvalues are known."""

import numpy as np
import pytest
import torch

from friedel.core.errors import InputError
from friedel.spi.diffusion.diffusion_map import DiffusionOptions, diffusion_map
from friedel.spi.diffusion.frame_vectors import frame_vectors
from friedel.spi.diffusion.kernel import bandwidth_curve, pairwise_squared_distances, squared_distances


def _circle(n=500, power=1.0, seed=3):
    angle = 2 * np.pi * np.sort(np.random.default_rng(seed).random(n)) ** power
    return angle, np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def _left_over(coordinates, basis):
    """Return the part of the coordinates' length outside the span of the basis."""
    fit = np.linalg.lstsq(basis, coordinates, rcond=None)[0]
    return float(np.linalg.norm(coordinates - basis @ fit) / np.linalg.norm(coordinates))


@pytest.mark.parametrize("neighbours", [None, 150])
def test_a_circle_gives_cosine_and_sine_with_the_heat_kernels_eigenvalues(neighbours):
    bandwidth = 0.02
    angle, points = _circle(n=800)
    options = DiffusionOptions(coordinates=4, bandwidth=bandwidth, neighbours=neighbours)
    found = diffusion_map(points, options)
    for order in (1, 2):
        pair = found.coordinates[:, 2 * order - 2 : 2 * order]
        assert _left_over(pair, np.stack([np.cos(order * angle), np.sin(order * angle)], axis=1)) < 0.1
        # exp(-d²/ε) is the heat kernel at time ε/4, whose eigenvalue for exp(ikθ) is exp(-k² ε/4).
        decay = -np.log(found.eigenvalues[2 * order - 2 : 2 * order])
        assert decay == pytest.approx(order**2 * bandwidth / 4, rel=0.15)


def test_alpha_one_forgets_an_uneven_density_and_alpha_zero_does_not():
    angle, points = _circle(n=1500, power=2.5)
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    fair, unfair = (
        diffusion_map(points, DiffusionOptions(coordinates=2, bandwidth=0.05, alpha=alpha)) for alpha in (1.0, 0.0)
    )
    assert _left_over(fair.coordinates, basis) < 0.15
    assert _left_over(unfair.coordinates, basis) > 0.3


def test_a_rotating_pattern_of_photons_unrolls_into_its_angle():
    rng = np.random.default_rng(8)
    angle = 2 * np.pi * rng.random(300)
    y, x = np.mgrid[-12:12, -12:12] + 0.5
    lobes = np.exp(-((np.hypot(x, y) - 7) ** 2) / 8) * (1.2 + np.cos(np.arctan2(y, x) - angle[:, None, None]))
    found = diffusion_map(frame_vectors(rng.poisson(40 * lobes)), DiffusionOptions(coordinates=3))
    assert _left_over(found.coordinates[:, :2], np.stack([np.cos(angle), np.sin(angle)], axis=1)) < 0.1


@pytest.mark.parametrize("neighbours", [None, 40])
def test_known_frames_land_where_they_are_and_new_ones_between_them(neighbours):
    angle, points = _circle(n=400)
    options = DiffusionOptions(coordinates=4, bandwidth=0.05, neighbours=neighbours)
    found = diffusion_map(points[::2], options)
    assert found.place(points[::2]) == pytest.approx(found.coordinates, abs=2e-3)
    between = 0.5 * (found.coordinates[:-1] + found.coordinates[1:])
    close = np.diff(angle[::2]) < 0.03
    assert found.place(points[1:-1:2])[close] == pytest.approx(between[close], abs=0.1)
    assert np.isfinite(found.place(np.array([[1e3, 1e3]], dtype=np.float32))).all()


def test_the_eigenvectors_satisfy_their_equation():
    _, points = _circle(n=120, power=1.7)
    found = diffusion_map(points, DiffusionOptions(coordinates=3))
    kernel = np.exp(-np.sum((points[:, None] - points[None]) ** 2, axis=2) / found.kernel.bandwidth)
    density = kernel.sum(axis=1)
    kernel /= density[:, None] * density[None]
    markov = kernel / kernel.sum(axis=1, keepdims=True)
    assert markov @ found.coordinates == pytest.approx(found.coordinates * found.eigenvalues, abs=2e-3)
    stationary = kernel.sum(axis=1) / kernel.sum()
    assert stationary @ found.coordinates**2 == pytest.approx(1.0, abs=1e-3)
    assert (np.take_along_axis(found.coordinates, np.abs(found.coordinates).argmax(axis=0)[None], axis=0) > 0).all()


def test_isolated_frames_do_not_take_the_coordinates_for_themselves():
    angle, points = _circle(n=400)
    strays = np.random.default_rng(1).normal(0, 40, (12, 2)).astype(np.float32)
    both = np.concatenate([points, strays])
    basis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    kept, islands = (
        diffusion_map(both, DiffusionOptions(coordinates=3, bandwidth=0.05, company=company)) for company in (7, 0)
    )
    assert islands.coordinates[:400, :2].std(axis=0) == pytest.approx(0.0, abs=0.01)
    best = min(_left_over(kept.coordinates[:400, pair], basis) for pair in ([0, 1], [1, 2], [0, 2]))
    assert best < 0.2
    assert kept.place(both) == pytest.approx(kept.coordinates, abs=5e-3)
    assert (kept.kernel.widths[:400] == 1).all()


def test_the_slope_of_the_log_sum_curve_tells_the_dimension():
    rng = np.random.default_rng(4)
    flat = torch.from_numpy(np.pad(rng.random((1500, 2)), ((0, 0), (0, 6))).astype(np.float32))
    curve = bandwidth_curve(pairwise_squared_distances(flat)[::6])
    assert curve.dimension == pytest.approx(2.0, abs=0.35)
    assert np.gradient(curve.log_sums, np.log(curve.bandwidths)) == pytest.approx(curve.slopes, abs=0.05)
    assert curve.slopes[[0, -1]] == pytest.approx(0.0, abs=0.1)
    assert curve.bandwidths[0] < curve.best < curve.bandwidths[-1]


def test_distances_in_blocks_are_the_distances():
    points = torch.from_numpy(np.random.default_rng(6).normal(size=(23, 40)).astype(np.float32))
    exact = torch.cdist(points.double(), points.double()).square()
    found = pairwise_squared_distances(points, block=7)
    assert torch.allclose(found.double(), exact, atol=1e-3)
    assert torch.allclose(found, found.T, rtol=1e-5)
    assert not found.diagonal().any()
    assert torch.allclose(squared_distances(points[:5], points).double(), exact[:5], atol=1e-3)
    assert torch.get_float32_matmul_precision() == "highest"


def test_what_has_no_map_is_refused():
    with pytest.raises(InputError, match="n at least 10"):
        diffusion_map(np.zeros((4, 3), dtype=np.float32))
    with pytest.raises(InputError, match="all frames are equal"):
        diffusion_map(np.ones((20, 3), dtype=np.float32))
    with pytest.raises(InputError, match="aren't finite"):
        diffusion_map(np.full((20, 3), np.nan, dtype=np.float32))
    _, points = _circle(n=40)
    with pytest.raises(InputError, match="don't fit a map of vectors of length 2"):
        diffusion_map(points).place(np.zeros((1, 5), dtype=np.float32))
