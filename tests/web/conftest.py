"""A display, a page that shows it, and snapshots made up so that every number in them can be told apart."""

import time
from pathlib import Path

import numpy as np
import pytest

from friedel.bcdi.live.view import CrystalView
from friedel.spi.live.view import HitsView, Thumbnail
from friedel.stream.display import Display
from friedel.stream.ledger import LedgerCounts
from friedel.stream.snapshot import Snapshot, SourceState
from friedel.web.options import ServeOptions
from friedel.web.page import Page

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    (folder / "001_scan").mkdir()
    (folder / "001_scan" / "report.html").write_text("<!doctype html><title>the report</title><p>final")
    (folder.parent / "secret.html").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def display():
    made = Display()
    yield made
    made.close()


@pytest.fixture(scope="module")
def page(display, run_folder):
    with Page(display.names, ServeOptions(port=0, patience_s=1.0, updates_per_s=20), folder=run_folder) as served:
        yield served


@pytest.fixture(scope="session")
def ledger():
    return LedgerCounts(
        seen=12_345, processed=12_000, dropped=200, late=11, duplicate=22, malformed=12, waiting=100, missing=33,
        dropped_why={"the queue was full": 200}, malformed_why={"shape (8, 8)": 12},
        queue_depth=3, queue_size=40, latency_p50_s=0.012, latency_p99_s=0.034,
    )  # fmt: skip


def thumbnail(number, single):
    y, x = np.indices((64, 64)) - 32
    image = (255 * np.sinc(np.hypot(y, x) / 9) ** 2).astype(np.uint8)
    return Thumbnail(image=image, number=number, series="run 7", single=single, fringes=3.0, out_of_distribution=0.2)


@pytest.fixture
def hits(ledger):
    def made(*, threshold=0.8, state="live", selected=1432, paused=False, powder=128, seed=0):
        now = time.time()
        view = HitsView(
            rate_times=now - np.arange(60.0)[::-1],
            rates=0.1 + 0.05 * np.sin(np.arange(60) / 7),
            histogram=np.arange(20, dtype=np.int64)[::-1] * 100 + 50,
            singles=tuple(thumbnail(100 + k, 0.99 - 0.01 * k) for k in range(8)),
            reject_band=tuple(thumbnail(200 + k, 0.5) for k in range(8)),
            rejected=tuple(thumbnail(300 + k, 0.02) for k in range(8)),
            powder=np.random.default_rng(seed).random((powder, powder)).astype(np.float32),
            n_powder=selected, selected=selected, reject_count=210, out_of_distribution_count=7, model="default 0123",
        )  # fmt: skip
        source = SourceState(name="test://run", state=state, since=now - 12, reason="nothing has come for 5 s")
        return Snapshot(
            mode="hits", taken=now, source=source, ledger=ledger, frames_per_s=2143.0, threshold=threshold,
            paused=paused, view=view,
        )  # fmt: skip

    return made


@pytest.fixture
def crystal():
    def made(*, report=""):
        now, plane = time.time(), np.hypot(*(np.indices((24, 30)) - 12)).astype(np.float32)
        inside = np.where(plane < 9, plane - 4, np.nan).astype(np.float32)
        corners = np.array([[0, 0, 0], [100, 0, 0], [0, 120, 0], [0, 0, 140]], np.float32)
        view = CrystalView(
            collected=46, expected=64, quality_frames=np.array([30.0, 38.0, 46.0]),
            quality=np.array([np.nan, 0.97, 0.99]),
            slices={name: (10 - plane).clip(0) for name in ("xy", "xz", "yz")},
            strain_slices=dict.fromkeys(("xy", "xz", "yz"), inside),
            vertices=corners, faces=np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], np.int32),
            vertex_strain=np.array([-1, 0, 0.5, 1], np.float32), label="46 of 64 frames, provisional",
            notes=("28% of the voxels are not measured yet.",), figures={"chi": 0.048, "agreement": 0.974},
            report=report,
        )  # fmt: skip
        source = SourceState(name="test://scan", state="live", since=now - 4)
        counts = LedgerCounts(seen=46, processed=46)
        return Snapshot(mode="crystal", taken=now, source=source, ledger=counts, frames_per_s=10.0, view=view)

    return made


@pytest.fixture(scope="module")  # its event loop is the thread's for as long as it lives: no other test may need one
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} isn't installed")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            args=["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        yield opened
        opened.close()
