"""The report of a classification: what it shows, that it loads nothing, and its pictures and charts."""

import base64
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from friedel.spi.classify.classify import run_classification
from friedel.spi.classify.gallery import picture_uri
from friedel.spi.classify.plan import ClassifyPlan
from friedel.spi.classify.report import HEIGHT, rate_line, score_bars
from friedel.spi.frames.files import FrameFiles


class Page(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def images(self):
        return [attributes for tag, attributes in self.tags if tag == "img"]

    @property
    def text(self):
        return " ".join("".join(self.words).split())


def pixels(uri):
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB")).astype(int)


@pytest.fixture(scope="module")
def page(tmp_path_factory, stand_in):
    folder = tmp_path_factory.mktemp("report")
    frames = np.random.default_rng(2).poisson(2.0, (300, 12, 10)).astype(np.uint16)
    frames[:, 0, 0] = np.arange(1, 301)
    frames[7] = 0
    path = folder / "run <b>&.npy"
    np.save(path, frames)
    plan = ClassifyPlan(frames=FrameFiles(paths=(path,)), gallery=12)
    result = run_classification(plan, folder / "hits", model=stand_in())
    return Page(result.files["report"].read_text()), result


def test_it_says_how_many_frames_were_selected_and_skipped(page):
    shown, result = page
    assert f"{result.figures['selected']} of 300 frames selected" in shown.text
    assert "1 skipped: all their pixels are equal" in shown.text


def test_it_loads_nothing_and_is_safe_from_names(page):
    shown, _ = page
    assert all(image["src"].startswith("data:image/png;base64,") for image in shown.images)
    assert not [tag for tag, _ in shown.tags if tag in ("script", "link", "iframe")]
    assert "run <b>&.npy" in shown.text


def test_every_picture_has_words_for_those_who_cannot_see_it(page):
    shown, _ = page
    assert len(shown.images) == 3 * 12 + 2
    assert all(len(image["alt"]) > 10 for image in shown.images)


def test_the_galleries_show_the_right_frames(page):
    shown, result = page
    scores = result.run.scores
    names = [int(image["alt"].split()[1].rstrip(":")) for image in shown.images if image["alt"].startswith("Frame")]
    assert result.run.selected[names[:12]].all()
    assert scores.single[names[:12]].min() >= np.sort(scores.single[result.run.selected])[-12]
    assert scores.reject_band[names[12:24]].all()
    assert (np.diff(np.abs(scores.single[names[12:24]] - 0.5)) >= 0).all()
    assert (scores.out_of_distribution[names[24:]] > 1).all()


def test_a_picture_shows_what_is_bright_and_what_is_unknown():
    frame, mask = np.zeros((40, 40), np.uint16), np.ones((40, 40), bool)
    frame[10, 10], frame[30, 30], mask[20] = 500, 5, False
    shown = pixels(picture_uri(frame, mask))
    assert shown.shape == (40, 40, 3)
    assert shown[10, 10].sum() > shown[30, 30].sum() > shown[5, 5].sum()
    assert (shown[20] == shown[20, 0]).all()
    assert len(np.unique(shown[20] - shown[5], axis=0)) == 1
    assert (shown[20, 0] != shown[5, 5]).any()


@pytest.mark.parametrize(
    "values", [np.zeros((30, 30)), np.full((30, 30), np.nan), -np.ones((30, 30)), np.eye(30) * 1e30]
)
def test_any_frame_becomes_a_picture(values):
    assert pixels(picture_uri(values, None)).shape == (30, 30, 3)


def test_large_frames_are_binned():
    assert max(pixels(picture_uri(np.ones((1000, 700)), None)).shape) <= 112


def test_bars_count_every_frame_and_never_leave_the_chart():
    single = np.random.default_rng(0).random(1000).astype(np.float32)
    bars = score_bars(single, single > 0.5)
    assert sum(int(bar.text.split(": ")[1].split()[0]) for bar in bars) == 1000
    assert all(0 <= bar.chosen_height <= bar.height <= HEIGHT for bar in bars)


def test_the_rate_along_the_run_has_its_greatest_value_on_top():
    selected = np.zeros(1200, bool)
    selected[600:700] = True
    line = rate_line(selected)
    heights = [float(point.split(",")[1]) for point in line.points.split()]
    assert len(heights) == 60
    assert np.argmin(heights) in range(30, 35)
    assert rate_line(selected[:30]) is None
