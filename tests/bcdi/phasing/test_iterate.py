"""The loop: where each method rests, that ER never gets worse, and that a batch is its members."""

import pytest
import torch

from friedel.bcdi.phasing.iterations.iterate import ShrinkWrap, State, chi_of, iterate, start_from, start_random
from friedel.bcdi.phasing.iterations.measured import Measured, measured_from
from friedel.bcdi.phasing.iterations.projections import towards_uniform
from friedel.bcdi.phasing.iterations.schedule import parse_schedule
from friedel.bcdi.phasing.iterations.support import autocorrelation_support, interior
from friedel.bcdi.records import Diffraction
from friedel.core.fourier import fourier_corner

METHODS = ["ER", "HIO", "RAAR", "DM"]


def misfit(state: State, measured: Measured) -> torch.Tensor:
    modulus = fourier_corner(state.obj).abs() * measured.fitted
    return (modulus - measured.amplitude).square().sum((-3, -2, -1)).sqrt()


@pytest.mark.parametrize("name", METHODS)
def test_the_truth_is_a_fixed_point_of_every_method(truth, name: str) -> None:
    state = iterate(start_from(truth.measured, truth.obj, truth.support[None]), truth.measured, ((name, 30),))
    assert torch.linalg.vector_norm(state.obj - truth.obj) < 1e-4 * torch.linalg.vector_norm(truth.obj)
    assert chi_of(state.confined, truth.measured).item() < 1e-3  # float32 resolves 1 − cos² no better
    assert state.iteration == 30


@pytest.mark.parametrize("name", METHODS)
def test_the_truths_neighbourhood_leads_back_to_it(truth, name: str) -> None:
    noise = torch.randn(truth.obj.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    near = truth.obj + truth.support * noise * 0.1 * truth.obj.abs().amax()
    before = chi_of(near, truth.measured).item()
    state = iterate(start_from(truth.measured, near, truth.support[None]), truth.measured, ((name, 60), ("ER", 20)))
    assert chi_of(state.confined, truth.measured).item() < 0.2 * before


def test_error_reductions_error_never_rises(truth) -> None:
    measured = truth.measured
    state = start_random(measured, truth.support, n_starts=2, seed=5)
    errors = [misfit(state, measured)]
    for _ in range(40):
        state = iterate(state, measured, (("ER", 1),))
        errors.append(misfit(state, measured))
    curve = torch.stack(errors)
    assert torch.all(curve[1:] <= curve[:-1] * (1 + 1e-5))
    assert torch.all(curve[-1] < 0.7 * curve[0])


def test_a_batch_is_its_members_one_by_one(truth) -> None:
    measured, runs = truth.measured, parse_schedule("2*(5*ER+15*HIO)+5*RAAR+5*DM")
    wrap = ShrinkWrap(threshold=torch.tensor([0.2, 0.3, 0.4]).reshape(3, 1, 1, 1), first=10, every=5)
    together = start_random(measured, truth.support, n_starts=3, seed=2)
    batch = iterate(together, measured, runs, wrap=wrap)
    for index in range(3):
        one = slice(index, index + 1)
        alone = State(together.obj[one], together.projected[one], together.support[one])
        single = iterate(alone, measured, runs, wrap=ShrinkWrap(threshold=wrap.threshold[one], first=10, every=5))
        assert torch.equal(batch.support[one], single.support)
        torch.testing.assert_close(batch.obj[one], single.obj, rtol=1e-3, atol=1e-3 * truth.obj.abs().amax().item())


def test_unknown_voxels_are_never_pulled_anywhere(truth) -> None:
    mask = torch.ones(truth.support.shape, dtype=torch.bool)
    mask[:, 9:12, :] = False
    spoiled = truth.diffraction.intensities.copy()
    spoiled[:, 9:12, :] = 1e9  # what stands there must not matter
    measured = measured_from(Diffraction(intensities=spoiled, mask=mask.numpy()))
    state = iterate(start_from(measured, truth.obj, truth.support[None]), measured, (("HIO", 20), ("ER", 10)))
    assert torch.linalg.vector_norm(state.obj - truth.obj) < 1e-4 * torch.linalg.vector_norm(truth.obj)
    hole = fourier_corner(state.confined)[0][measured.unfitted.bool()].abs()
    true = fourier_corner(truth.obj)[0][measured.unfitted.bool()].abs()
    assert torch.linalg.vector_norm(hole - true) < 1e-3 * torch.linalg.vector_norm(true)


def test_the_seed_decides_everything(truth) -> None:
    runs, measured = parse_schedule("5*ER+20*HIO"), truth.measured

    def final(seed: int) -> State:
        start = start_random(measured, autocorrelation_support(measured), n_starts=2, seed=seed)
        return iterate(start, measured, runs, wrap=ShrinkWrap(threshold=0.2, first=5, every=5))

    first, again, other = final(1), final(1), final(2)
    assert torch.equal(first.obj, again.obj)
    assert torch.equal(first.support, again.support)
    assert not torch.allclose(first.obj, other.obj)
    assert not torch.allclose(first.obj[0], first.obj[1])


def test_random_starts_have_the_measured_amplitudes_and_stay_in_the_support(truth) -> None:
    state = start_random(truth.measured, truth.support, n_starts=2, seed=0)
    modulus = fourier_corner(state.projected).abs()
    torch.testing.assert_close(modulus, truth.measured.amplitude.expand_as(modulus), rtol=1e-3, atol=0.05)
    assert not torch.any(state.obj[:, ~truth.support])


def test_a_caller_hears_every_tenth_iteration_and_the_last_and_can_stop(truth) -> None:
    heard: list[int] = []
    start = start_random(truth.measured, truth.support, n_starts=1, seed=0)
    iterate(start, truth.measured, (("ER", 12), ("HIO", 13)), on_iteration=lambda state: heard.append(state.iteration))
    assert heard == [10, 20, 25]

    def stop(state: State) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        iterate(start, truth.measured, (("ER", 100),), on_iteration=stop)


def test_shrink_wrap_is_due_by_its_first_iteration_and_cadence() -> None:
    wrap = ShrinkWrap(threshold=0.1, first=20, every=10)
    assert [i for i in range(1, 51) if wrap.due(i)] == [20, 30, 40, 50]


def test_chi_ignores_scale_and_unknown_voxels(truth) -> None:
    assert chi_of(5.0 * truth.obj, truth.measured).item() < 1e-3
    assert chi_of(torch.ones_like(truth.obj), truth.measured).item() == pytest.approx(1.0, abs=0.3)
    with_held_out = measured_from(truth.diffraction, held_out_fraction=0.1, seed=4)
    share = with_held_out.held_out.mean().item()
    assert share == pytest.approx(0.1, abs=0.02)
    assert not torch.any(with_held_out.fitted.bool() & with_held_out.held_out.bool())
    assert chi_of(truth.obj, with_held_out).item() < 1e-3


@pytest.mark.parametrize("name", METHODS)
def test_stripes_of_amplitude_are_drawn_out_and_the_surface_is_not_filled(truth, name: str) -> None:
    z = torch.arange(truth.obj.shape[-3])[:, None, None]
    striped = truth.obj * (1.0 + 0.4 * torch.cos(2.0 * z))
    deep, amplitude = interior(truth.support), truth.obj.abs()
    drawn = towards_uniform(striped, deep[None], 1.0)
    spread = [float(one.abs()[:, deep].std() / one.abs()[:, deep].mean()) for one in (striped, drawn)]
    assert spread[1] < 0.3 * spread[0]
    assert torch.all(drawn.abs()[:, ~deep] <= striped.abs()[:, ~deep] * (1 + 1e-5))
    torch.testing.assert_close(towards_uniform(striped, deep[None], 0.0), striped)
    state = iterate(
        start_from(truth.measured, truth.obj, truth.support[None]), truth.measured, ((name, 30),), uniform=1.0
    )
    assert torch.linalg.vector_norm(state.projected - truth.obj) < 0.2 * torch.linalg.vector_norm(amplitude)
