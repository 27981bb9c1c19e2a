"""What records say of themselves, at a prompt and in a notebook: a line or a picture, never pages of numbers."""

import re

import numpy as np

from friedel.spi.records import Frames, FrameStatus, HitScores, no_scores


def _scores(n=40):
    rng = np.random.default_rng(1)
    single = rng.random(n).astype(np.float32)
    status = np.zeros(n, np.uint8)
    status[3] = FrameStatus.CONSTANT
    return HitScores(
        single=single,
        fringes=single * 10,
        out_of_distribution=single,
        reject_band=(single > 0.4) & (single < 0.6),
        good=single > 0.6,
        status=status,
        diameter=np.full(n, 61.25, np.float32),
        length_unit="nm",
        model="mine",
    )


def test_scores_show_their_counts_and_every_scored_frame_in_the_histogram():
    scores = _scores()
    page = scores._repr_html_()
    assert f"<td>{int(scores.good.sum())} (" in page
    assert "61.25 nm" in page
    heights = np.array([float(h) for h in re.findall(r'<rect [^>]*height="([0-9.]+)"', page)])
    counts, _ = np.histogram(np.delete(scores.single, 3), bins=len(heights), range=(0, 1))
    np.testing.assert_allclose((heights / heights.max()) ** 2, counts / counts.max(), atol=0.01)
    assert "unknown" in no_scores("mine")._repr_html_()


def test_frames_are_a_line_and_a_picture():
    mask = np.ones((64, 80), dtype=bool)
    mask[:32] = False
    frames = Frames(intensities=np.random.default_rng(0).poisson(2, (12, 64, 80)), mask=mask, first=100)
    assert repr(frames) == "Frames(12 frames of 64 × 80 from number 100, int64, mask leaves 50.0%)"
    assert frames._repr_png_().startswith(b"\x89PNG")
    assert Frames(intensities=np.zeros((0, 64, 80)), mask=mask)._repr_png_() is None
