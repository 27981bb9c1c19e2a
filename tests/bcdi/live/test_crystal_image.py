"""Provisional images: the crystal is seen before its scan is over, unknown voxels stay open, words keep to numbers."""

import numpy as np
import pytest
import torch

from friedel.bcdi.forward.scan import simulate_demo_scan
from friedel.bcdi.live.plan import CrystalWatchPlan, LiveCrystalOptions
from friedel.bcdi.live.provisional import Imager, ProvisionalImage, load_model, mirrored
from friedel.bcdi.live.scan import ScanSetting
from friedel.bcdi.live.series import LiveCrystal
from friedel.bcdi.live.view import History, uncertainties
from friedel.bcdi.phasing.ambiguities import align_to
from friedel.bcdi.phasing.iterations.multiscale import lower
from friedel.bcdi.plan import ReconstructionPlan
from friedel.bcdi.prepare.options import PrepareOptions
from friedel.bcdi.prepare.prepare import prepare
from friedel.bcdi.records import Diffraction

SHAPE = (48, 48, 48)
RANDOM = LiveCrystalOptions(model=None, seconds=0.5)


@pytest.fixture(scope="module")
def simulated():
    return simulate_demo_scan(seed=1, shape=SHAPE)


def _partial(simulated, n):
    whole = prepare(simulated.scan, PrepareOptions(shape=SHAPE, centre=simulated.geometry.peak, aliens=False))
    known = whole.mask.copy()
    first = SHAPE[0] // 2 - simulated.geometry.peak[0]
    known[n + first :] = False
    return Diffraction(intensities=np.where(known, whole.intensities, 1e9), mask=known, grid=whole.grid)


def test_the_crystal_is_seen_before_its_scan_is_over_and_gets_better(simulated):
    imager = Imager(RANDOM.model_copy(update={"seconds": 1.5}))
    agreements = []
    for n in (simulated.geometry.peak[0] + 6, 40, 47):
        # What stands in unmeasured voxels is absurd: it must not matter.
        pattern = _partial(simulated, n)
        image = imager.image(pattern, n_measured=n, n_frames=48)
        truth = torch.from_numpy(simulated.object(pattern.grid, SHAPE).astype(np.complex64))
        agreements.append(align_to(image.object, lower(truth, image.object.shape).numpy())[1])
    assert agreements[0] > 0.8
    assert agreements[-1] > 0.9
    assert image.same > 0.8


def test_the_mirror_image_fills_only_what_was_not_measured():
    values = np.zeros((16, 16, 16), np.float32)
    known = np.ones(values.shape, bool)
    values[6, 8, 8], values[10, 8, 8], known[10:] = 5.0, 77.0, False
    filled = mirrored(Diffraction(intensities=values, mask=known))
    assert filled.intensities[10, 8, 8] == 5.0  # the mate of 6, about 8
    assert filled.intensities[6, 8, 8] == 5.0
    assert filled.mask[10:, 1:, 1:].all()


def test_without_weights_it_begins_at_random_and_says_why():
    model, why = load_model("no_such_weights")
    assert model is None
    assert "random phases, because no network could be loaded" in why
    assert load_model(None) == (None, "the first image begins from random phases, as asked")


def test_the_answer_has_settled_when_images_with_new_frames_stay_the_same():
    history = History()
    for frames, same in ((20, None), (25, 0.97), (30, 0.995), (35, 0.996)):
        history = history.and_then(frames, same, enough=0.99, in_a_row=3)
    assert not history.settled  # one of the last three changed
    assert history.and_then(40, 0.999, enough=0.99, in_a_row=3).settled
    assert not history.and_then(35, 0.999, enough=0.99, in_a_row=3).settled  # no new frames


def _image(**changed):
    mask = np.ones((16, 16, 16), bool)
    mask[12:] = False
    given = {
        "object": np.ones((16, 16, 16), np.complex64), "support": np.ones((16, 16, 16), bool),
        "pattern": Diffraction(intensities=np.ones((16, 16, 16), np.float32), mask=mask),
        "n_measured": 12, "n_frames": 16, "chi": 0.1, "free_deviance": 1.0, "same": 0.9, "agreement": 0.5,
        "phase_spread_rad": 0.7, "seconds": 1.0,
    }  # fmt: skip
    return ProvisionalImage(**given | changed)


def test_what_is_uncertain_is_said():
    said = " ".join(uncertainties(_image(), History()))
    assert "25% of the voxels" in said
    assert "do not agree yet (correlation 0.500, phases 0.70 rad apart)" in said
    assert "correlation 0.900 with the one before" in said
    assert "no longer change" in " ".join(uncertainties(_image(), History(settled=True)))


def test_before_the_peak_is_passed_there_is_no_image_but_a_reason(simulated):
    plan = ReconstructionPlan(prepare=PrepareOptions(shape=SHAPE))
    crystal = LiveCrystal(ScanSetting(mask=simulated.scan.mask, n_frames=48), Imager(RANDOM), plan)
    for k in range(simulated.geometry.peak[0] + 1):
        crystal.add(k, simulated.scan.frames[k])
    assert crystal.due
    assert "isn't passed yet" in crystal.update().notes[0]
    assert not crystal.due  # not again before another frame comes


def test_without_geometry_the_surface_is_coloured_by_phase(simulated):
    plan = ReconstructionPlan(prepare=PrepareOptions(shape=SHAPE))
    crystal = LiveCrystal(ScanSetting(mask=simulated.scan.mask, n_frames=48), Imager(RANDOM), plan)
    for k in range(44):
        crystal.add(k, simulated.scan.frames[k])
    view = crystal.update()
    assert (view.label, view.coloured_by, view.unit) == ("44 of 48 frames, provisional", "phase (rad)", "voxels")
    assert np.abs(view.vertex_strain).max() <= np.pi + 1e-5


def test_a_plan_of_a_reconstruction_is_a_plan_of_a_watch(tmp_path):
    path = tmp_path / "scan.yaml"
    path.write_text("scan: {path: frames, beamline: aps34idc}\nphasing: {starts: 3}\nimages: {seconds: 0.5}\n")
    plan = CrystalWatchPlan.load(path)
    assert plan.scan.path == tmp_path / "frames"
    assert (plan.phasing.starts, plan.images.seconds) == (3, 0.5)
