"""Frames as other programs write them: right, or refused with the cause; the journal answers for the file as it is."""

import time
from pathlib import Path

import h5py
import numpy as np
import pytest

import friedel
from friedel.core.errors import InputError
from friedel.core.observer import Recorder
from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.photons import write_detector_file
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.frames.dragonfly import read_detector
from friedel.spi.frames.files import FrameFiles, list_files
from friedel.spi.frames.labels import read_labels
from friedel.spi.frames.source import open_frames
from friedel.spi.records import Beam

RNG = np.random.default_rng(0)


def pattern(*, single: bool) -> np.ndarray:
    """Return photons of one cube, or of two."""
    cubes = np.zeros((256, 256))
    cubes[118:138, 118:138] = 1
    if not single:
        cubes[118:138, 158:178] = 1
    light = np.abs(np.fft.fftshift(np.fft.fft2(cubes))) ** 2
    light[126:131, 126:131] = 0
    return RNG.poisson(light / light.sum() * 6e4 + 0.005).astype(np.uint16)


SINGLES = np.stack([pattern(single=True) for _ in range(12)])
DOUBLES = np.stack([pattern(single=False) for _ in range(12)])
BAD = np.zeros((256, 256), np.uint16)
BAD[20:24] = 1


@pytest.fixture(scope="module")
def model():
    from friedel.spi.hits.model import load_model

    return load_model()


@pytest.fixture
def classify(model, tmp_path):
    def run(path: Path, out: str = "hits", **files):
        plan = ClassifyPlan(frames=FrameFiles(paths=(path,), **files), gallery=0)
        return run_classification(plan, tmp_path / out, model=model, observer=Recorder())

    return run


def photons(path: Path) -> tuple[int, int]:
    """Return sum and greatest count of an ``.emc`` file, read by its description."""
    numbers = np.fromfile(path, "<i4")
    n = numbers[0]
    ones, multi = int(numbers[256 : 256 + n].sum()), int(numbers[256 + n : 256 + 2 * n].sum())
    counts = numbers[256 + 2 * n + ones + multi :]
    assert counts.min(initial=2) >= 2
    return ones + int(counts.sum()), int(counts.max(initial=0))


def test_a_file_written_again_is_scored_again(classify, tmp_path):
    path = tmp_path / "run.npy"
    np.save(path, np.r_[0 * SINGLES[:1], SINGLES])
    assert classify(path).figures["selected"] >= 11
    np.save(path, np.r_[0 * SINGLES[:1], DOUBLES])
    assert classify(path).figures["selected"] == 0
    np.save(path, np.r_[0 * SINGLES[:1], SINGLES[:5]])
    again = classify(path)
    assert (again.figures["frames"], again.figures["selected"]) == (6, 5)


@pytest.mark.parametrize("how", [{}, {"chunks": (1, 256, 256)}], ids=["contiguous", "chunks"])
def test_what_was_blank_or_missing_is_looked_at_again(how, classify, tmp_path):
    path = tmp_path / "run.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("data", SINGLES.shape, "u2", **how)
        data[:4], data[10:] = SINGLES[:4], SINGLES[10:]
    first = classify(path)
    assert first.figures["skipped"] == 6
    with h5py.File(path, "r+") as file:
        file["data"][4:10] = SINGLES[4:10]
    again = classify(path)
    assert again.figures["skipped"] == 0
    assert again.n_new >= 6
    assert again.figures["selected"] == 12


def test_all_entries_of_a_cxi_file_are_frames(classify, tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        for number in (1, 2, 10):
            file[f"entry_{number}/data_1/data"] = SINGLES[:4]
    result = classify(tmp_path / "run.cxi")
    assert result.figures["frames"] == 12
    assert result.figures["read"][0]["dataset"] == "entry_*/data_1/data"
    back = classify(result.files["selection"], "again")
    assert back.figures["frames"] == result.figures["selected"]


def test_assembled_images_come_before_modules(classify, tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        file["entry_1/data_1/data"] = SINGLES.reshape(12, 512, 128)
        file["entry_1/image_1/data"] = SINGLES
    assert classify(tmp_path / "run.cxi").figures["selected"] == 12


def test_a_geometry_that_isnt_there_or_fits_other_frames_is_an_error(classify, tmp_path):
    np.save(tmp_path / "run.npy", SINGLES)
    with pytest.raises(InputError, match="no such geometry file"):
        classify(tmp_path / "run.npy", geometry=tmp_path / "nowhere.geom")


@pytest.mark.parametrize(
    ("frames", "mask", "kind"),
    [
        ("entry_1/data_1/data", "entry_1/data_1/mask", "u2"),
        ("entry_1/data_1/data", "entry_1/data_1/mask", "f4"),
        ("entry_1/data_1/data", "entry_1/data_1/mask_shared", "u2"),
        ("entry_1/data_1/data", "entry_1/instrument_1/detector_1/mask", "u1"),
        ("entry/data/data", "entry/instrument/detector/pixel_mask", "u4"),
        ("entry/data/data", "entry/instrument/detector/detectorSpecific/pixel_mask", "u4"),
        ("data", "mask", "?"),
    ],
)
def test_masks_are_found_and_hold_no_photons(frames, mask, kind, classify, tmp_path):
    noisy = SINGLES.copy()
    noisy[:, 20:24] = 50000
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        file[frames], file[mask] = noisy, BAD.astype(kind)
    result = classify(tmp_path / "run.cxi")
    assert result.figures["selected"] == 12
    assert result.figures["read"][0]["mask"]["leaves"] == pytest.approx(1 - 4 / 256)
    assert photons(result.files["photons"])[1] < 1000


def test_a_mask_of_good_pixels_is_asked_about(classify, tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        file["entry_1/data_1/data"], file["entry_1/data_1/mask"] = SINGLES, 1 - BAD
    with pytest.raises(InputError, match="does it mark good ones"):
        classify(tmp_path / "run.cxi")
    assert classify(tmp_path / "run.cxi", own_mask="good").figures["selected"] == 12


@pytest.mark.parametrize(
    ("mark", "rows"), [(2**32 - 1, slice(100, 104)), (2**32 - 1, slice(20, 24)), (65535, slice(20, 24))]
)
def test_marks_are_no_counts(mark, rows, classify, tmp_path):
    marked = SINGLES.astype(np.uint32)
    marked[:, rows] = mark
    np.save(tmp_path / "run.npy", marked)
    result = classify(tmp_path / "run.npy")
    assert result.figures["selected"] == 12
    assert photons(result.files["photons"])[1] < 1000


def test_detector_units_become_photons_by_the_measured_gain(classify, tmp_path):
    units = SINGLES.astype(np.int32) * 100 + RNG.normal(0, 10, SINGLES.shape).round().astype(np.int32)
    np.save(tmp_path / "run.npy", units)
    result = classify(tmp_path / "run.npy")
    assert result.figures["selected"] == 12
    assert photons(result.files["photons"])[0] == pytest.approx(int(SINGLES.sum()), rel=0.02)
    with h5py.File(result.files["detector"]) as file:
        assert set(file) == {"qx", "qy", "qz", "corr", "mask", "detd", "ewald_rad"}


def test_a_pedestal_is_found_taken_off_and_said(classify, tmp_path):
    np.save(tmp_path / "run.npy", SINGLES + 100)
    result = classify(tmp_path / "run.npy")
    assert result.figures["selected"] == 12
    assert result.figures["read"][0]["unit"]["pedestal"] == 100
    assert any("pedestal of 100" in text for text in result.figures["read"][0]["odd"])
    assert photons(result.files["photons"])[0] == int(SINGLES.sum())


def test_a_broken_file_in_a_folder_is_named_and_left_out(classify, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    np.save(folder / "a.npy", SINGLES)
    (folder / "z.h5").touch()
    (folder / "notes.txt").write_text("no frames")
    assert classify(folder).figures["selected"] == 12


def test_files_of_one_image_make_one_run(classify, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for number, frame in enumerate(SINGLES):
        with h5py.File(folder / f"tag_{number:03d}.h5", "w") as file:
            file["data/data"] = frame
    result = classify(folder)
    assert (result.figures["frames"], result.figures["selected"], len(result.run.files)) == (12, 12, 12)
    assert len(list((tmp_path / "hits" / "journal").glob("*.scores"))) == 1


def test_tags_of_one_file_make_one_run(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        for number in (9, 10, 100):
            file[f"run_1/detector_2d_1/tag_{number}/detector_data"] = np.full((64, 64), float(number))
    with open_frames(tmp_path / "run.h5") as source:
        assert source.read(0, 3)[:, 0, 0].tolist() == [9, 10, 100]


def test_panels_of_one_frame_are_no_frames_of_their_own(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        for panel in range(1, 9):
            for tag in (9, 10):
                file[f"run_1/detector_2d_{panel}/tag_{tag}/detector_data"] = np.full((64, 64), float(panel))
    with pytest.raises(InputError, match=r"8 parts.*--dataset 'run_1/detector_2d_1/tag_\*/detector_data'"):
        open_frames(tmp_path / "run.h5").__enter__()
    with open_frames(tmp_path / "run.h5", dataset="run_1/detector_2d_3/tag_*/detector_data") as source:
        assert source.read(0, 2)[:, 0, 0].tolist() == [3, 3]


def test_an_eiger_master_reads_its_data_files_and_its_mask(tmp_path):
    for number in (1, 2):
        with h5py.File(tmp_path / f"run_data_{number:06d}.h5", "w") as file:
            file["entry/data/data"] = np.full((3, 64, 80), number, np.uint32)
    with h5py.File(tmp_path / "run_master.h5", "w") as file:
        for number in (1, 2, 3):
            link = h5py.ExternalLink(f"run_data_{number:06d}.h5", "entry/data/data")
            file[f"entry/data/data_{number:06d}"] = link
        pixel_mask = np.zeros((64, 80), np.uint32)
        pixel_mask[5] = 1
        file["entry/instrument/detector/detectorSpecific/pixel_mask"] = pixel_mask
    with open_frames(tmp_path / "run_master.h5") as source:
        assert source.read(2, 4)[:, 0, 0].tolist() == [1, 2]
        assert not source.mask[5].any()
        assert "data_000003 links to a file that isn't there" in " ".join(source.notes)


def test_photons_of_dragonfly_are_read_back_whole(classify, tmp_path):
    np.save(tmp_path / "run.npy", SINGLES)
    result = classify(tmp_path / "run.npy")
    with open_frames(result.files["photons"]) as source:
        np.testing.assert_array_equal(source.read(0, 12), SINGLES[result.run.selected])


def test_masks_in_python_mean_what_they_mean_in_files():
    as_numbers, as_bool = friedel.classify(SINGLES, mask=BAD), friedel.classify(SINGLES, mask=BAD == 0)
    masked = friedel.classify(np.ma.masked_array(SINGLES, np.broadcast_to(BAD == 1, SINGLES.shape)))
    assert as_numbers.good.sum() == as_bool.good.sum() == masked.good.sum() == 12
    with pytest.raises(InputError, match="say mask_marks"):
        friedel.classify(SINGLES, mask=1 - BAD)


def test_a_score_is_the_frames_own(model):
    units = (np.r_[RNG.poisson(0.005, (290, 256, 256)), SINGLES] + RNG.normal(0, 0.2, (302, 256, 256))) * 70
    order = RNG.permutation(len(units))
    plain = units.astype(np.float32)
    one, other = model.score(plain), model.score(plain[order])
    assert model.measure(plain).gain == pytest.approx(70, rel=0.02)
    assert np.abs(one.single[order] - other.single).max() <= 1e-3
    mask = BAD == 0
    there, hidden = model.score(SINGLES, mask), np.where(mask, SINGLES.astype(np.float64), -1)
    assert np.abs(model.score(hidden, mask).single - there.single).max() <= 1e-3


def save(path: Path, frames: np.ndarray) -> Path:
    np.save(path, frames)
    return path


RUN = np.r_[SINGLES[:6], DOUBLES[:6]]


@pytest.mark.parametrize("gain", [4.4, 7.3, 51.7])
def test_a_gain_that_is_no_whole_number_is_found_in_rounded_values(gain, classify, tmp_path):
    result = classify(save(tmp_path / "run.npy", np.round(RUN * gain).astype(np.int32)))
    np.testing.assert_array_equal(np.flatnonzero(result.run.selected), range(6))
    assert result.figures["read"][0]["unit"]["gain"] == pytest.approx(gain, rel=1e-3)
    assert photons(tmp_path / "hits" / "selection.emc")[0] == pytest.approx(SINGLES[:6].sum(), rel=2e-3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.log1p, "the logarithm of 1"), (np.sqrt, "amplitudes"), (lambda f: np.log10(f + 1), "decimal logarithm"),
        (lambda f: f / f.max((1, 2), keepdims=True), "normalised by a number of its own"),
    ],
)  # fmt: skip
def test_what_isnt_linear_in_photons_is_refused(change, words, classify, tmp_path):
    with pytest.raises(InputError, match=words):
        classify(save(tmp_path / "run.npy", change(RUN.astype(float)).astype(np.float32)))
    with pytest.raises(InputError, match=words):
        friedel.classify(change(RUN.astype(float)))


def test_a_read_noise_that_hides_photons_is_said(classify, tmp_path):
    noisy = RUN * 7.3 + RNG.normal(0, 3, RUN.shape)
    result = classify(save(tmp_path / "run.npy", np.round(noisy).astype(np.int32)))
    assert any("hides single ones" in text for text in result.figures["read"][0]["odd"])


def test_one_frame_of_a_thousand_times_the_light_leaves_the_others_alone(model):
    faulty = RUN.astype(np.uint32)
    faulty[3] *= 1000
    others = np.arange(len(RUN)) != 3
    constants = model.measure(faulty)
    found = model.score(faulty, run=constants)
    plain = model.score(RUN, run=model.measure(RUN))
    np.testing.assert_allclose(found.single[others], plain.single[others], atol=0.1)
    assert constants.faulty.float().mean() < 0.02


def test_files_behind_a_master_are_read_once(classify, tmp_path):
    folder = tmp_path / "eiger"
    folder.mkdir()
    with h5py.File(folder / "r_master.h5", "w") as master:
        for number in (1, 2):
            with h5py.File(folder / f"r_data_{number:06d}.h5", "w") as file:
                file["entry/data/data"] = RUN[6 * number - 6 : 6 * number].astype(np.uint32)
            link = h5py.ExternalLink(f"r_data_{number:06d}.h5", "entry/data/data")
            master[f"entry/data/data_{number:06d}"] = link
    assert classify(folder).figures["frames"] == len(RUN)


def test_a_file_and_a_link_to_it_are_one(classify, tmp_path):
    save(tmp_path / "a.npy", RUN)
    (tmp_path / "b.npy").symlink_to("a.npy")
    with pytest.raises(InputError, match="named twice"):
        classify(tmp_path)


def test_files_of_a_folder_come_by_the_numbers_in_their_names(tmp_path):
    names = ["f_0.tif", "f_1.tif", "f_2.tif", "f_9.tif", "f_10.tif", "f_11.tif"]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_files([tmp_path])] == names


@pytest.mark.parametrize("name", ["badpixelmap", "bad_pixel_mask", "hotpixels", "detector_mask", "dead_pix"])
def test_masks_by_other_names_are_found(name, tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["data"], file[name] = RUN, BAD
    with open_frames(tmp_path / "run.h5") as source:
        assert source.dataset == "data"
        np.testing.assert_array_equal(source.mask, BAD == 0)
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"], file["good_pixels"], file["mask_good"] = RUN, 1 - BAD, 1 - BAD
    with open_frames(tmp_path / "other.h5", dataset="data") as source:
        np.testing.assert_array_equal(source.mask, BAD == 0)


def test_the_detector_file_lies_on_the_ewald_sphere(tmp_path):
    beam = Beam(photon_energy_ev=1500.0, distance_m=0.1, pixel_size_m=1e-3)
    bad = np.zeros((65, 81), bool)
    bad[3, 4] = True
    write_detector_file(tmp_path / "curved.h5", bad, (30.0, 41.0), beam)
    detector = read_detector(tmp_path / "curved.h5")
    # All q end on a sphere of radius D = 100 pixels about (0, 0, -D).
    np.testing.assert_allclose(np.linalg.norm(detector.q + np.array([0, 0, 100.0]), axis=1), 100.0, rtol=1e-12)
    q = detector.q.reshape(65, 81, 3)
    np.testing.assert_allclose(q[30, 41], 0, atol=1e-12)
    np.testing.assert_allclose(q[30, 42], [1.0, 0.0, -0.005], rtol=1e-3, atol=1e-9)
    # 2 sin(θ) D of the angle 2θ = atan(24 / 100).
    assert np.linalg.norm(q[54, 41]) == pytest.approx(200 * np.sin(np.arctan(0.24) / 2), rel=1e-12)
    assert detector.correction.reshape(65, 81)[54, 41] == pytest.approx(np.cos(np.arctan(0.24)) ** 3)
    assert (detector.mask == 2).sum() == 1
    assert detector.distance == detector.ewald_radius == 100.0
    write_detector_file(tmp_path / "flat.h5", bad, (30.0, 41.0))
    flat = read_detector(tmp_path / "flat.h5")
    assert not flat.q[:, 2].any()
    assert (flat.correction == 1).all()


def test_a_damaged_file_that_hangs_the_library_is_refused_in_seconds(tmp_path):
    """Of `cases/frames/hangs_on_open.h5`: a mark of an open writer over damaged metadata."""
    case = Path(__file__).resolve().parents[4] / "shared" / "cases" / "frames" / "hangs_on_open.h5"
    if not case.is_file():
        pytest.skip("no shared/cases beside the checkout")
    path = tmp_path / "run.h5"
    path.write_bytes(case.read_bytes())
    began = time.monotonic()
    with pytest.raises(InputError, match=r"run\.h5"):
        open_frames(path).__enter__()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    ("mask", "why"),
    [
        (h5py.SoftLink("/nowhere/mask"), "a link that leads nowhere"),
        ("bad pixels", "holds no numbers"),
        (np.zeros((9, 9)), "(9, 9)"),
    ],
)
def test_a_mask_that_cannot_be_used_is_said(mask, why, tmp_path):
    with h5py.File(tmp_path / "run.cxi", "w") as file:
        file["entry_1/data_1/data"] = RUN
        file["entry_1/data_1/mask"] = mask
    with open_frames(tmp_path / "run.cxi") as source:
        assert source.mask is None
        (said,) = [text for text in source.notes if "own mask" in text]
    assert why in said
    assert "not used" in said


def test_masks_of_each_frame_are_said_in_their_sense_and_one_bad_frame_is_no_doubt(tmp_path):
    good = np.broadcast_to(1 - BAD, RUN.shape).copy()
    good[0] = 0
    for name, mask in (("good_pixels", good), ("mask", 1 - good)):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["data"], file[name] = RUN, mask.astype(np.uint8)
        with open_frames(tmp_path / f"{name}.h5", dataset="data") as source:
            np.testing.assert_array_equal(np.isnan(source.read(0, 2)), good[:2] == 0)
            assert source.beside.mask == f"{name} (of each frame)"
            assert source.beside.sense == f"anything but 0 is {'good' if name == 'good_pixels' else 'bad'}"


def test_two_masks_of_opposite_senses_are_both_said(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["data"], file["good_pixels"], file["badpix"] = RUN, 1 - BAD, BAD
    with open_frames(tmp_path / "run.h5", dataset="data") as source:
        assert source.beside.sense == "anything but 0 is bad in badpix, good in good_pixels"


def test_a_good_mask_that_leaves_little_is_asked_about_in_its_own_sense(tmp_path):
    with h5py.File(tmp_path / "run.h5", "w") as file:
        file["data"], file["good_pixels"] = RUN, BAD
    with pytest.raises(InputError, match=r"anything but 0 is good.*does it mark bad ones.*own_mask=bad.*own_mask=good"):
        open_frames(tmp_path / "run.h5", dataset="data").__enter__()


def test_what_is_written_and_shown_of_selected_frames_is_less_the_dark(classify, tmp_path):
    dark = np.arange(256, dtype=np.float32)[:, None] + np.full((256, 256), 100, np.float32)
    np.save(tmp_path / "dark.npy", dark)
    plain = classify(save(tmp_path / "plain.npy", SINGLES), out="plain")
    result = classify(save(tmp_path / "run.npy", SINGLES + dark), dark=tmp_path / "dark.npy")
    assert result.figures["selected"] == plain.figures["selected"] == 12
    assert photons(tmp_path / "hits" / "selection.emc") == photons(tmp_path / "plain" / "selection.emc")


@pytest.mark.parametrize("word", ["No Hit", "no_hit", "non-hit", "multi-hit", "Multiple  hits", "0,0", "0.0"])
@pytest.mark.parametrize("name", ["label", "class", "Labels"])
def test_labels_as_people_write_them(word, name, tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(f"frame;{name}\n0,0;Single-Hit\n1,0;{word}\n2;\n3;-1\n")
    labels = read_labels(path, n_frames=5)
    assert labels.frames.tolist() == [0, 1]
    assert labels.single.tolist() == [True, False]


def test_numbers_of_8_bits_that_reach_their_end_are_said(classify, tmp_path):
    bright = RNG.poisson(5.0 * SINGLES).astype(np.uint8)
    odd = classify(save(tmp_path / "bright.npy", bright)).figures["read"][0]["odd"]
    assert any("began again from zero" in text for text in odd)
    dim = RNG.poisson(SINGLES / 4).astype(np.uint8)
    odd = classify(save(tmp_path / "dim.npy", dim), out="dim").figures["read"][0]["odd"]
    assert not any("began again from zero" in text for text in odd)


def test_a_file_of_other_frames_in_a_folder_is_named(model, tmp_path):
    (tmp_path / "run").mkdir()
    for number in range(3):
        save(tmp_path / "run" / f"r{number}.npy", SINGLES[:4])
    save(tmp_path / "run" / "dark.npy", RNG.poisson(3, (4, 100, 120)).astype(np.uint16))
    heard = Recorder()
    plan = ClassifyPlan(frames=FrameFiles(paths=(tmp_path / "run",)), gallery=0)
    run_classification(plan, tmp_path / "hits", model=model, observer=heard)
    said = [text for name, text in heard.notes if "of this run?" in text]
    assert len(said) == 1
    assert "100 × 120" in said[0]


def test_a_centre_outside_the_frames_and_a_mask_s_name_without_its_file_are_refused(classify, tmp_path):
    np.save(tmp_path / "run.npy", SINGLES)
    with pytest.raises(InputError, match="row 500 and column 100, lies outside"):
        classify(tmp_path / "run.npy", centre=(500, 100))
    with pytest.raises(InputError, match="no file for it"):
        classify(tmp_path / "run.npy", mask_dataset="bad")
