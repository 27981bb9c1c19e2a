"""What makes a projection one, over every projection: it repeats itself, and no point of its set is nearer."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from friedel.bcdi.phasing.iterations.measured import Measured
from friedel.bcdi.phasing.iterations.projections import project_modulus, project_support
from friedel.core.fourier import fourier_corner, inverse_fourier_corner

SHAPES = [(8, 6, 10), (7, 9, 5), (6, 7, 8)]
Projection = Callable[[Tensor], Tensor]


def chance(shape: tuple[int, ...], seed: int) -> Tensor:
    return torch.randn(shape, dtype=torch.complex128, generator=torch.Generator().manual_seed(seed))


def measured(shape: tuple[int, int, int], *, unknown: bool, dark: bool) -> Measured:
    """Return double-precision amplitudes of a random object, with an unknown and a dark slab if asked for."""
    amplitude = fourier_corner(chance(shape, 1)).abs()
    fitted = torch.ones(shape, dtype=torch.float64)
    if unknown:
        fitted[1:3] = 0.0
    if dark:
        amplitude[:, 2] = 0.0
    return Measured(
        amplitude=amplitude * fitted,
        fitted=fitted,
        unfitted=1.0 - fitted,
        held_out=None,
        intensity=amplitude.square() * fitted,
    )


def region(shape: tuple[int, int, int]) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(2)) < 0.4


def every_projection(shape: tuple[int, int, int]) -> dict[str, Projection]:
    full = measured(shape, unknown=False, dark=False)
    gaps = measured(shape, unknown=True, dark=False)
    zeros = measured(shape, unknown=True, dark=True)
    support = region(shape)
    return {
        "support": lambda obj: project_support(obj, support),
        "modulus": lambda obj: project_modulus(obj, full),
        "modulus with gaps": lambda obj: project_modulus(obj, gaps),
        "modulus with gaps and dark voxels": lambda obj: project_modulus(obj, zeros),
    }


NAMES = list(every_projection(SHAPES[0]))
over_all = pytest.mark.parametrize("shape", SHAPES)
over_projections = pytest.mark.parametrize("name", NAMES)


@over_all
@over_projections
def test_projecting_twice_changes_nothing_more(shape: tuple[int, int, int], name: str) -> None:
    project = every_projection(shape)[name]
    once = project(chance((2, *shape), 3))
    torch.testing.assert_close(project(once), once, rtol=1e-9, atol=1e-9)


@over_all
@over_projections
def test_no_point_of_the_set_is_nearer(shape: tuple[int, int, int], name: str) -> None:
    project = every_projection(shape)[name]
    obj = chance(shape, 4)
    nearest = torch.linalg.vector_norm(project(obj) - obj)
    for seed in range(20):
        # Other points of the set: projections of objects near and far.
        other = project(obj + 10 ** (seed / 5 - 3) * chance(shape, 10 + seed))
        assert torch.linalg.vector_norm(other - obj) >= nearest * (1 - 1e-12)


@over_all
@over_projections
def test_a_projection_leaves_its_argument_and_its_batch_neighbours_alone(
    shape: tuple[int, int, int], name: str
) -> None:
    project = every_projection(shape)[name]
    batch = chance((3, *shape), 5)
    before = batch.clone()
    together = project(batch)
    assert torch.equal(batch, before)
    torch.testing.assert_close(together[1], project(batch[1]), rtol=1e-12, atol=1e-12)


@over_all
def test_the_support_projection_is_linear_and_self_adjoint(shape: tuple[int, int, int]) -> None:
    support = region(shape)
    x, y = chance(shape, 6), chance(shape, 7)
    left = torch.vdot(project_support(x, support).ravel(), y.ravel())
    right = torch.vdot(x.ravel(), project_support(y, support).ravel())
    torch.testing.assert_close(left, right)
    both = project_support(2 * x + 3j * y, support)
    torch.testing.assert_close(both, 2 * project_support(x, support) + 3j * project_support(y, support))


@over_all
def test_the_modulus_projection_keeps_phases_and_unknown_voxels(shape: tuple[int, int, int]) -> None:
    known = measured(shape, unknown=True, dark=False)
    before = fourier_corner(chance(shape, 8))
    after = fourier_corner(project_modulus(inverse_fourier_corner(before), known))
    expected = torch.where(known.fitted.bool(), torch.polar(known.amplitude, before.angle()), before)
    torch.testing.assert_close(after, expected, rtol=1e-9, atol=1e-9)
