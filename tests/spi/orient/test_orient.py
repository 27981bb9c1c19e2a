from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from scipy.spatial.transform import Rotation
from tiny_particle import intensity_at, radial_mean, tiny_data, true_intensity

from friedel.core.errors import InputError, PlanError
from friedel.core.fourier import inverse_real_fourier_corner, real_fourier_corner
from friedel.core.machine.team import ALONE
from friedel.core.observer import silent
from friedel.spi.orient import solve
from friedel.spi.orient.align import align, chance_correlation, sphere_correlation, turned
from friedel.spi.orient.march import March, grid_size
from friedel.spi.orient.matching.expect import expect, take_slices
from friedel.spi.orient.matching.match import collect_views
from friedel.spi.orient.quality import MergeQuality, corrected, resolved
from friedel.spi.orient.rings import Pixels, lay_rings, ring_frames, upright
from friedel.spi.orient.solve import OrientOptions
from friedel.spi.orient.speckle import lay_frames, measure_speckle, shell_variance
from friedel.spi.orient.views import in_plane, sphere, symmetry_group, turned_views
from friedel.spi.orient.volume import collect, friedel_mean, sample, smooth_field, speckle_spectrum


@pytest.fixture(scope="module")
def data():
    return tiny_data(n_frames=60, photons=500, sigma=0.0)


@pytest.fixture(scope="module")
def pixels(data):
    return Pixels(q=data.detector.q, weight=(data.detector.mask == 0).astype(float))


@pytest.fixture(scope="module")
def frames(data, pixels):
    return ring_frames(sp.csr_matrix(data.frames), pixels, lay_rings(pixels, band=0.4, step=1.0))


def plain_scores(volume, photons, pixels, rotations):
    """Σ K log W − N log ΣW at every pixel: the plain product."""
    q = torch.from_numpy(pixels.q[pixels.used].astype(np.float32))
    k = torch.from_numpy(photons[:, pixels.used].astype(np.float32))
    w = torch.stack([sample(volume, q @ torch.from_numpy(r.T.astype(np.float32))) for r in rotations])
    return (k @ w.log().T - k.sum(1)[:, None] * w.sum(1).log()).numpy()


def test_harmonics_agree_with_the_plain_product(data, pixels, frames):
    """At the orientations both know, likelihood differences between views agree to a few per cent of their range."""
    volume = torch.from_numpy(true_intensity(data, 35)) + 0.02 * true_intensity(data, 35).mean()
    views = turned_views(100, np.random.default_rng(0), symmetry_group("C1"))
    slices = take_slices(volume, frames, views, len(frames.rings.q))
    found = expect(frames, slices, beta=1.0)
    n_angles = slices.total.shape[1]
    angles = 2 * np.pi * np.arange(n_angles) / n_angles
    rotations = np.concatenate([view @ in_plane(angles) for view in views[:8].double().numpy()])
    plain = plain_scores(volume, data.frames, pixels, rotations).reshape(60, 8, n_angles)
    best_plain = plain.reshape(60, -1).argmax(1)
    chosen = np.flatnonzero(found.view.numpy() < 8)
    assert len(chosen) > 0
    for frame in chosen:
        found_at = plain[frame, found.view[frame], found.angle[frame]]
        assert plain[frame].max() - found_at < 0.1 * (plain[frame].max() - np.median(plain[frame])), best_plain[frame]


def test_true_slices_are_found_where_they_are(data, frames):
    volume = torch.from_numpy(true_intensity(data, 35))
    found = expect(
        frames, take_slices(volume, frames, torch.from_numpy(data.rotations.astype(np.float32)), 14), beta=1.0
    )
    right = found.view.numpy() == np.arange(60)
    assert right.mean() > 0.5
    n_angles = found.photons.shape[2]
    turn = found.angle.numpy()[right]
    assert np.median(np.minimum(turn, n_angles - turn)) <= 1


def test_photons_are_neither_lost_nor_doubled(data, frames):
    volume = torch.from_numpy(true_intensity(data, 35))
    views = turned_views(100, np.random.default_rng(1), symmetry_group("C1"))
    slices = take_slices(volume, frames, views, len(frames.rings.q))
    found = expect(frames, slices, beta=1.0)
    assert float(found.photons.mean(2).sum()) * 1.0 == pytest.approx(float(frames.counts.sum()) / 1.0, rel=1e-3)
    merge = collect_views(found, slices.points, 35, symmetry_group("C1"), frames.rings.orders)
    assert float(merge.photons.sum()) == pytest.approx(float(frames.counts.sum()), rel=1e-3)
    assert float((merge.exposure * volume).sum()) == pytest.approx(float(frames.counts.sum()), rel=1e-3)


def test_sampling_and_collecting_are_adjoint():
    rng = np.random.default_rng(0)
    volume = torch.from_numpy(rng.normal(size=(11, 11, 11)))
    points = torch.from_numpy(rng.uniform(-4, 4, (50, 3)))
    values = torch.from_numpy(rng.normal(size=50))
    total = torch.zeros(11, 11, 11, dtype=torch.float64)
    collect(total, points, values)
    assert float((total * volume).sum()) == pytest.approx(float((sample(volume, points) * values).sum()))


def test_smoothing_keeps_what_is_certain_and_forgets_what_is_not():
    spectrum = speckle_spectrum(21, 6.0)
    flat, deviation = torch.full((21, 21, 21), 3.0), torch.full((21, 21, 21), 0.8)
    for photons, expected in ((flat, flat), (torch.zeros_like(flat), torch.zeros_like(flat))):
        field, _ = smooth_field(photons, expected, spectrum, deviation, steps=20)
        torch.testing.assert_close(field, torch.ones_like(flat))


def test_the_spectrum_of_speckle_is_nowhere_negative():
    """Its root is taken; rounding made it −6e-8 where the ball's autocorrelation ends."""
    for diameter in np.linspace(1, 15, 60):
        assert float(speckle_spectrum(21, float(diameter)).min()) >= 0


def test_smoothing_in_two_goes_is_smoothing_in_one():
    spectrum, generator = speckle_spectrum(21, 6.0), torch.Generator().manual_seed(0)
    expected = 5 * torch.rand((21, 21, 21), generator=generator)
    photons, deviation = torch.poisson(expected * 1.3, generator=generator), torch.full((21, 21, 21), 0.8)
    whole, _ = smooth_field(photons, expected, spectrum, deviation, steps=200)
    _, white = smooth_field(photons, expected, spectrum, deviation, steps=5)
    field, _ = smooth_field(photons, expected, spectrum, deviation, steps=200, start=white)
    torch.testing.assert_close(field, whole, atol=0.01, rtol=0)


@pytest.mark.parametrize(("name", "order"), [("C1", 1), ("C5", 5), ("D2", 4), ("T", 12), ("O", 24), ("I", 60)])
def test_views_cover_what_symmetry_leaves(name, order):
    group = symmetry_group(name)
    assert len(group) == order
    views = turned_views(3000, np.random.default_rng(0), group)
    assert len(views) == pytest.approx(3000 / order, rel=0.15)
    np.testing.assert_allclose(np.linalg.det(views.numpy()), 1, atol=1e-5)


def test_an_unknown_symmetry_is_refused():
    with pytest.raises(PlanError, match="no symmetry"):
        symmetry_group("Q7")


def test_alignment_finds_a_rotation(data):
    n = 35
    truth = torch.from_numpy(true_intensity(data, n))
    rotation = Rotation.from_rotvec([0.4, -1.1, 0.7])
    axis = np.arange(n) - n // 2
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    q = np.stack([x, y, z], axis=-1) @ rotation.as_matrix()
    moved = torch.from_numpy(intensity_at(q, data.places, data.weights).astype(np.float32))
    found = align(truth, moved, q_min=2.5, q_max=13)
    assert np.degrees((found * rotation.inv()).magnitude()) < 3
    shells = sphere_correlation(truth, moved, found, np.arange(3.0, 14.0))
    assert shells.min() > 0.95
    assert torch.isfinite(turned(truth, found)).any()


def test_few_speckles_agree_by_chance_and_many_do_not():
    """A volume that is a quadrupole alone agrees with any other one after alignment."""
    generator = torch.Generator().manual_seed(3)
    found = []
    for diameter in (1.5, 9.0):
        root = speckle_spectrum(21, diameter).sqrt()
        noise = [friedel_mean(torch.randn((21, 21, 21), generator=generator)) for _ in range(2)]
        fields = [inverse_real_fourier_corner(real_fourier_corner(one) * root, one.shape) for one in noise]
        first, second = (1 + 0.3 * (field - field.mean()) / field.std() for field in fields)
        found.append(np.nanmean(chance_correlation(first, second, np.arange(3.0, 10.0), q_min=3, q_max=9)))
    assert found[0] > 0.35
    assert found[1] < 0.7 * found[0]


def test_speckles_are_measured_before_any_orientation(data, pixels):
    survey = ring_frames(sp.csr_matrix(data.frames), pixels, lay_rings(pixels, band=0.45, step=3.0))
    speckle = measure_speckle(survey)
    assert 0.1 < speckle.extent < 0.45
    assert speckle.visibility > 0.3
    assert speckle.seen


@pytest.mark.parametrize("seed", range(3))
def test_round_frames_have_no_speckles(data, pixels, seed):
    frames = np.random.default_rng(seed).poisson(np.tile(radial_mean(data), (60, 1)))
    speckle = measure_speckle(ring_frames(sp.csr_matrix(frames), pixels, lay_rings(pixels, band=0.45, step=3.0)))
    assert not speckle.seen


def test_the_variance_of_shells_is_measured_from_frames_alone(data, pixels, frames):
    found = shell_variance(frames, 0.25)
    q = frames.rings.q
    truth = [intensity_at(r * sphere(2000), data.places, data.weights) for r in q]
    wanted = np.array([one.var() / one.mean() ** 2 for one in truth])
    outer = q > 6
    assert np.abs(found[outer] / wanted[outer] - 1).mean() < 0.35
    background = np.random.default_rng(0).poisson(np.tile(radial_mean(data), (60, 1)))
    half_background = ring_frames(sp.csr_matrix(data.frames + background), pixels, frames.rings)
    assert (shell_variance(half_background, 0.25)[outer] < 0.6 * found[outer]).mean() > 0.8


def test_a_tilted_detector_is_turned_upright(data, pixels):
    tilt = Rotation.from_euler("xy", [20, -35], degrees=True)
    turned_pixels, turn = upright(Pixels(q=tilt.apply(pixels.q), weight=pixels.weight))
    beam = turn @ tilt.as_matrix()  # what is left is a turn around the beam
    np.testing.assert_allclose(beam[2], [0, 0, 1], atol=1e-6)
    np.testing.assert_allclose(turned_pixels.q, pixels.q @ beam.T, atol=1e-6)
    assert upright(pixels)[0] is pixels
    rings = lay_rings(turned_pixels, band=0.3)
    np.testing.assert_allclose(rings.height, lay_rings(pixels, band=0.3).height, atol=0.05)


def test_pixels_on_no_sphere_are_compared_one_by_one(data):
    bent = data.detector.q + np.array([0, 0, 1]) * 0.02 * data.detector.q[:, :1] ** 2
    pixels = Pixels(q=bent, weight=(data.detector.mask == 0).astype(float))
    with pytest.raises(InputError, match="off a cap"):
        lay_frames(sp.csr_matrix(data.frames), pixels, engine="harmonics")
    assert lay_frames(sp.csr_matrix(data.frames), pixels)[1].rings.plain


def test_halves_promise_less_than_one_and_say_where_they_end():
    q = np.arange(6.0)
    halves = np.array([np.nan, 0.95, 0.9, 0.3, 0.1, 0.05])
    assert resolved(q, halves) == 4.0
    np.testing.assert_allclose(corrected(np.array([0.0, 1.0, 0.5])), [0, 1, np.sqrt(2 / 3)])


@pytest.mark.parametrize(
    ("halves", "chance", "evidence", "verdict"),
    [
        (0.9, 0.1, 20.0, "trust"),
        (0.9, 0.7, 20.0, "don't trust"),
        (0.6, 0.1, 20.0, "don't trust"),
        (0.9, 0.1, -0.1, "don't trust"),
    ],
)
def test_a_verdict_asks_for_agreement_beyond_chance_and_for_evidence(halves, chance, evidence, verdict):
    q = np.arange(6.0)
    quality = MergeQuality(
        q=q,
        halves=np.full(6, halves),
        chance=np.full(6, chance),
        q_resolved=5.0,
        named=0,
        evidence=evidence,
        evidence_error=0.1,
    )
    assert quality.verdict == verdict
    assert (quality.mean_corrected > 0.5) == (evidence > 0)


def _agreeing(*, recovered, drawn, evenness):
    """Return the quality of halves that agree at 0.95 in every shell."""
    shells = np.full(6, 0.95)
    return MergeQuality(
        q=np.arange(6.0),
        halves=shells,
        chance=0 * shells,
        q_resolved=5.0,
        named=0,
        evidence=20.0,
        evidence_error=0.1,
        recovered=np.full(6, recovered),
        recovered_evenness=drawn,
        evenness=evenness,
    )


@pytest.mark.parametrize(("evenness", "verdict"), [(0.97, "trust"), (0.9, "check"), (0.5, "don't trust")])
def test_hits_that_crowd_are_not_trusted_however_well_halves_agree(evenness, verdict):
    quality = _agreeing(recovered=0.93, drawn=1.0, evenness=evenness)
    assert quality.verdict == verdict
    assert ("crowd" in quality.sentence) == (verdict != "trust")
    assert quality.mean_corrected == pytest.approx(0.93 * np.sqrt(2 / 1.95))


@pytest.mark.parametrize(
    ("recovered", "drawn", "evenness", "verdict"),
    [
        (0.85, 1.0, 1.0, "check"),  # drawn frames make mistakes: so do hits
        (0.99, 1.0, 1.0, "trust"),
        (0.97, 1.0, 0.5, "check"),  # drawn frames lie evenly where hits don't: hits may prefer directions
        (0.97, 0.8, 0.5, "don't trust"),  # drawn frames crowd as hits do
        (0.90, 1.0, 0.5, "don't trust"),
        (0.97, 0.9, 0.9, "check"),
    ],
)
def test_what_drawn_frames_give_back_decides_beside_the_halves(recovered, drawn, evenness, verdict):
    quality = _agreeing(recovered=recovered, drawn=drawn, evenness=evenness)
    assert quality.verdict == verdict
    assert quality.mean_corrected <= corrected(quality.halves)[0]


def test_a_march_grows_to_the_edge():
    march = March(
        extent=0.16,
        q_max=39.4,
        variance=torch.ones(90),
        worth=torch.ones(90),
        group=symmetry_group("C1"),
        observer=silent,
    )
    assert march.stages[0] == pytest.approx(10)
    assert march.stages[-1] == 39.4
    assert all(b > a for a, b in zip(march.stages, march.stages[1:], strict=False))
    assert grid_size(39.4) == 81


@pytest.mark.parametrize(
    ("even", "likelihoods", "kept", "starts"),
    [
        ([1.0, 1.0, 1.0], [-5, -4, -3], 0, 1),  # halves that agree and lie evenly: one start is enough
        ([0.5, 0.9, 1.0], [-5, -4, -3], 2, 3),  # a crowded half is started again; the likeliest counts
        ([0.5, 0.9, 1.0], [-5, -6, -3], 0, 2),  # another start gained nothing: no more of them
    ],
)
def test_halves_that_crowd_are_started_again_and_the_likeliest_kept(even, likelihoods, kept, starts, monkeypatch):
    asked = []

    def march_of(frames, march, seed):
        asked.append(seed)
        return float(likelihoods[seed // 2]), SimpleNamespace(model=seed // 2)

    monkeypatch.setattr(solve, "_march", march_of)
    monkeypatch.setattr(solve, "_agreement", lambda models, march: 0.95)
    monkeypatch.setattr(solve, "_evenness", lambda half, share, march: even[half.model])
    shares = [SimpleNamespace(team=ALONE)] * 2
    halves = solve.agreeing(shares, SimpleNamespace(observer=silent), OrientOptions())
    assert [half.model for half in halves] == [kept, kept]
    assert len(asked) == 2 * starts
