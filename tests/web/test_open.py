"""`friedel open`: hundreds of results listed at once, one result looked at and measured, two compared, in a browser."""

import asyncio
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request

import h5py
import numpy as np
import pytest

from friedel.bcdi.results.numbers import save_numbers
from friedel.bcdi.results.save import save_quality, save_reconstruction
from friedel.bcdi.strain.analysis import analyse
from friedel.bcdi.strain.summary import crystal_numbers
from friedel.core.errors import InputError
from friedel.web.options import ServeOptions
from friedel.web.viewer.catalogue import filled, find_results, row_of

aiohttp = pytest.importorskip("aiohttp")

from aiohttp import web  # noqa: E402

from friedel.web.viewer.server import make_open_app, serve_results  # noqa: E402

N_RESULTS = 500
FRAMES = np.random.default_rng(0).poisson(3, (5, 12, 16)) * np.array([1, 2, 9, 2, 1])[:, None, None]
MASKED = np.zeros((12, 16), dtype=bool)
MASKED[4:6, 3] = True


@pytest.fixture(scope="session")
def archive(finished, tmp_path_factory):
    """Write 500 results of a heating series, one of them without its small file, a damaged one, and a run of hits."""
    root = tmp_path_factory.mktemp("archive")
    result = finished(geometry="square")
    crystal = analyse(result)
    numbers = crystal_numbers(crystal)
    first = root / "scan_0000"
    first.mkdir()
    save_reconstruction(result, first / "reconstruction.cxi", crystal=crystal)
    save_quality(result, first / "quality.json")
    (first / "report.html").write_text("<!doctype html><title>the report</title>")
    np.savez(root / "frames.npz", frames=FRAMES, mask=MASKED)
    (first / "plan.yaml").write_text(f"scan: {{path: {root / 'frames.npz'}, dataset: frames}}\nolder: setting\n")
    for k in range(N_RESULTS):
        folder = root / f"scan_{k:04d}"
        folder.mkdir(exist_ok=True)
        if k:
            (folder / "reconstruction.cxi").hardlink_to(first / "reconstruction.cxi")
        if k != 1:
            scaled = {**numbers, "strain_rms": numbers["strain_rms"] * (1 + k)}
            conditions = {"temperature": 300.0 + k}
            save_numbers(folder / "crystal.json", result, scaled, conditions=conditions, errors={"strain_rms": 1e-5})
    (root / "damaged").mkdir()
    (root / "damaged" / "reconstruction.cxi").write_bytes(b"half a file")
    run = root / "run_7"
    run.mkdir()
    (run / "scores.h5").write_bytes(b"")
    (run / "summary.json").write_text(json.dumps({"frames": 2000, "selected": 150}))
    (run / "report.html").write_text("<!doctype html><title>hits</title>")
    merge = root / "virus"
    merge.mkdir()
    (merge / "merged.h5").write_bytes(b"")
    (merge / "density.cxi").write_bytes(b"")
    (merge / "summary.json").write_text(json.dumps({"frames": 1500, "halves": 0.951, "verdict": "trust"}))
    return root


@pytest.fixture(scope="module")
def address(archive):
    """Serve the archive in a thread; give its address."""
    entries, ready, loop = find_results([archive]), threading.Event(), asyncio.new_event_loop()
    found = {}

    async def start():
        runner = web.AppRunner(make_open_app(entries, ServeOptions(port=0)))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        found.update(url=f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}", runner=runner)
        ready.set()

    def serve():
        asyncio.set_event_loop(loop)
        loop.run_until_complete(start())
        loop.run_forever()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    ready.wait(30)
    yield found["url"]
    asyncio.run_coroutine_threadsafe(found["runner"].cleanup(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def _get(url):
    with urllib.request.urlopen(url, timeout=20) as answer:
        return answer.read()


def test_every_kind_of_result_has_its_row(archive):
    rows = {entry.name: row_of(entry) for entry in find_results([archive])}
    assert len(rows) == N_RESULTS + 3
    assert rows["run_7"]["hit_rate"] == pytest.approx(0.075)
    assert (rows["virus"]["halves"], rows["virus"]["trusted"], rows["virus"]["frames"]) == (0.951, True, 1500)
    assert rows["scan_0007"]["conditions"] == {"temperature": 307.0}
    assert rows["scan_0007"]["errors"] == {"strain_rms": 1e-5}
    assert rows["scan_0001"]["waiting"]
    assert "not a result that friedel wrote" in rows["damaged"]["error"]


def test_names_of_several_folders_differ_and_a_run_s_frames_are_no_result(archive, tmp_path):
    for name in ("monday", "tuesday"):
        (tmp_path / name / "result").mkdir(parents=True)
        (tmp_path / name / "result" / "reconstruction.cxi").hardlink_to(archive / "scan_0000" / "reconstruction.cxi")
    hits = tmp_path / "monday" / "hits"
    hits.mkdir()
    (hits / "scores.h5").write_bytes(b"")
    modes = [{"diameter": 58.8, "spread": 0.05, "share": 1.0, "low": 51.0, "high": 68.0}]
    read = [{"file": "/data/run_1.cxi"}, {"file": "/data/run_2.cxi"}]
    summary = {"frames": 10, "selected": 5, "read": read, "sizes": {"unit": "nm", "modes": modes}}
    (hits / "summary.json").write_text(json.dumps(summary))
    with h5py.File(tmp_path / "monday" / "run_1.cxi", "w") as run:
        run["entry_1/data_1/data"] = np.zeros((2, 4, 4))
    (tmp_path / "monday" / "damaged.cxi").write_bytes(b"half a file")
    found = find_results([tmp_path / "monday", tmp_path / "tuesday"])
    names = ["monday/damaged.cxi", "monday/hits", "monday/result", "tuesday/result"]
    assert [entry.name for entry in found] == names
    assert [e.name for e in find_results([tmp_path / "monday" / "result", tmp_path / "tuesday" / "result"])] == [
        "monday/result",
        "tuesday/result",
    ]
    row = row_of(found[1])
    assert (row["source"], row["diameter_nm"]) == ("run_1.cxi and 1 more", 58.8)


def test_what_small_files_don_t_say_is_read_from_the_volume(archive):
    entries = {entry.name: entry for entry in find_results([archive])}
    row = filled(entries["scan_0001"], row_of(entries["scan_0001"]))
    known = row_of(entries["scan_0000"])
    assert not row["waiting"]
    for name in ("diameter_nm", "strain_rms"):
        assert row[name] == pytest.approx(known[name], rel=1e-4)


def test_five_hundred_results_are_listed_within_a_second_of_processor_time(archive):
    began = time.process_time()
    entries = find_results([archive])
    rows = [row_of(entry) for entry in entries]
    assert time.process_time() - began < 1.0
    assert len(rows) == N_RESULTS + 3


def test_only_results_are_served_and_errors_are_told(address):
    for path, status in (
        ("/file/0/../../etc/passwd", 404),
        ("/api/result/9999", 404),
        ("/api/result/2/volume/99", 404),
    ):
        with pytest.raises(urllib.error.HTTPError) as raised:
            _get(address + path)
        with raised.value as answer:  # it holds a socket, which would otherwise be closed whenever garbage is collected
            assert answer.code == status
    about = json.loads(_get(address + "/api/result/2"))
    volume = np.frombuffer(_get(address + "/api/result/2/volume/0"), "<i2")
    assert volume.size == np.prod(about["fields"][0]["shape"])


def test_raw_frames_are_those_of_the_scan_and_the_mask_stays_a_mask(address):
    about = json.loads(_get(address + "/api/result/2/frames"))
    assert about["shape"] == [5, 12, 16]
    assert about["sums"] == pytest.approx(np.where(MASKED, 0, FRAMES).sum((1, 2)))
    assert about["masked"] == pytest.approx(MASKED.mean())
    with urllib.request.urlopen(address + "/api/result/2/frames/2", timeout=20) as answer:
        packed, largest = np.frombuffer(answer.read(), "<i2").reshape(12, 16), float(answer.headers["X-Largest"])
    np.testing.assert_array_equal(packed == -32768, MASKED)
    counts = 10 ** ((packed.astype(float) + 32767) * largest / 65534) - 1
    np.testing.assert_allclose(counts[~MASKED], FRAMES[2][~MASKED], atol=0.05)


@pytest.mark.parametrize(
    ("path", "why"), [("2/frames/9", "no frame 9"), ("3/frames", "nobody knows"), ("1/frames", "no")]
)
def test_why_frames_can_t_be_shown_is_told(address, path, why):
    with pytest.raises(urllib.error.HTTPError) as raised:
        _get(f"{address}/api/result/{path}")
    with raised.value as answer:
        assert why in json.loads(answer.read())["error"]


def test_a_large_detector_s_frame_is_shrunk_without_losing_its_peak():
    from friedel.bcdi.records import BraggScan
    from friedel.web.viewer.frames import _shrunk

    frames, mask = np.zeros((1, 2100, 1500)), np.ones((2100, 1500), dtype=bool)
    frames[0, 1999, 1234], mask[0:6, 0:6] = 77.0, False
    shown = _shrunk(BraggScan(frames=frames, mask=mask), 0)
    assert shown.shape == (700, 500)
    assert np.nanmax(shown) == shown[1999 // 3, 1234 // 3] == 77.0
    assert np.isnan(shown).sum() == 4


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(InputError, match="no result under"):
        serve_results([tmp_path], ServeOptions(port=0), ready=lambda *_: None)
    with pytest.raises(InputError, match="no such file or folder"):
        serve_results([tmp_path / "absent"], ServeOptions(port=0), ready=lambda *_: None)


@pytest.fixture
def opened(browser, address):
    said = []

    def go(path, size=(1280, 900)):
        tab = browser.new_page(viewport={"width": size[0], "height": size[1]})
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.goto(address + path)
        tabs.append(tab)
        return tab

    tabs = []
    yield go, said
    for tab in tabs:
        tab.close()


@pytest.mark.parametrize("size", [(360, 780), (1280, 900), (3840, 2160)], ids=str)
@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/#/", "tbody tr"),
        ("/#/2", ".viewer[data-ready]"),
        ("/#/2/3", ".pair section:nth-child(3) .viewer[data-ready]"),
    ],
)
def test_every_view_fits_every_screen_without_a_word_on_the_console(opened, size, path, there):
    go, said = opened
    tab = go(path, size)
    tab.wait_for_selector(there, timeout=60_000)
    tab.wait_for_timeout(300)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_table_filters_and_sorts(opened):
    tab = opened[0]("/#/")
    tab.wait_for_selector("tbody tr")
    assert tab.locator("tbody tr").count() == N_RESULTS + 3
    tab.fill("input[type=search]", "temperature>=790 χ<0.05")
    assert tab.locator("tbody tr").count() == 10
    tab.click("th button:has-text('Strain')")
    tab.click("th button:has-text('Strain')")
    assert tab.locator("tbody tr a").first.inner_text() == "scan_0499"
    assert "±" in tab.locator("tbody tr").first.inner_text()
    tab.fill("input[type=search]", "damaged")
    assert "can't be read" in tab.locator("tbody tr").inner_text()


def test_slices_are_linked_and_a_line_gives_a_profile_and_its_numbers(opened, tmp_path):
    go, said = opened
    tab = go("/#/2")
    tab.wait_for_selector(".viewer[data-ready]")
    tab.select_option(".tools select", label="strain (10⁻³)")
    tab.wait_for_selector(".viewer[data-ready='strain']")
    before = tab.inner_text(".value")
    box = tab.locator(".slice").first.bounding_box()
    tab.mouse.click(box["x"] + 0.42 * box["width"], box["y"] + 0.42 * box["height"])
    assert tab.inner_text(".value") != before
    assert "slice" in tab.locator("figcaption").nth(1).inner_text()
    tab.focus(".slice >> nth=0")
    caption = tab.locator("figcaption").nth(0).inner_text()
    tab.keyboard.press("PageUp")
    assert tab.locator("figcaption").nth(0).inner_text() != caption
    middle = box["y"] + box["height"] / 2
    tab.mouse.move(box["x"] + 0.35 * box["width"], middle)
    tab.mouse.down()
    tab.mouse.move(box["x"] + 0.65 * box["width"], middle, steps=4)
    tab.mouse.up()
    tab.wait_for_selector(".panel .curve")
    for name, start in (("CSV", b"distance_nm,value,error"), ("SVG", b"<svg"), ("PNG", b"\x89PNG")):
        with tab.expect_download() as download:
            tab.click(f"button:text-is('{name}')")
        download.value.save_as(tmp_path / name)
        assert (tmp_path / name).read_bytes().startswith(start)
    drawing = (tmp_path / "SVG").read_text()
    z, _, x = (int(re.findall(r"of (\d+)", tab.locator("figcaption").nth(k).inner_text())[0]) for k in range(3))
    wide = [float(width) for width in re.findall(r'<image[^>]* width="([\d.]+)"', drawing)][:3]
    assert len({round(width / n, 6) for width, n in zip(wide, (x, x, z), strict=True)}) == 1  # one scale for all
    assert len(set(re.findall(r">([\d.]+ nm)<", drawing))) == 1
    rows = (tmp_path / "CSV").read_text().splitlines()
    assert len(rows) > 5
    assert said == []


def test_raw_frames_come_when_asked_for_and_the_rocking_curve_chooses_one(opened):
    go, said = opened
    tab = go("/#/2")
    tab.wait_for_selector(".viewer[data-ready]")
    tab.click("button:has-text('detector')")
    tab.wait_for_selector(".raw[data-frame='2']")  # the brightest
    curve = tab.locator(".raw .chart svg")
    box = curve.bounding_box()
    curve.click(position={"x": box["width"] - 16, "y": box["height"] / 2})
    tab.wait_for_selector(".raw[data-frame='4']")
    assert "frame 4 of 5" in tab.locator(".raw canvas").get_attribute("aria-label")
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_the_surface_turns_and_is_cut(opened):
    tab = opened[0]("/#/2")
    tab.wait_for_selector(".viewer[data-ready]")
    tab.wait_for_timeout(500)
    whole = tab.evaluate("document.querySelector('.solid').toDataURL()")
    tab.focus(".solid")
    tab.keyboard.press("ArrowLeft")
    turned = tab.evaluate("document.querySelector('.solid').toDataURL()")
    tab.select_option(".panel select", "0")
    cut = tab.evaluate("document.querySelector('.solid').toDataURL()")
    assert len({whole, turned, cut}) == 3


def test_the_first_picture_comes_within_half_a_second_of_the_browser_s_own_clock(opened):
    """Best of five, because other work shares the machine; the page, its scripts and 6 kvoxels over the wire."""
    tab = opened[0]("/#/")
    tab.wait_for_selector("tbody tr")
    seconds = []
    for number in range(2, 7):
        tab.evaluate("window.location.hash = '#/'")
        tab.wait_for_selector("tbody tr")
        began = time.perf_counter()
        tab.evaluate(f"window.location.hash = '#/{number}'")
        tab.wait_for_selector(".viewer[data-ready]")
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.5


def test_a_page_saved_for_a_notebook_draws_itself_without_a_server(browser, archive, tmp_path):
    from friedel.bcdi.show.fields import read_fields
    from friedel.bcdi.show.page import Shown

    path = Shown(read_fields(archive / "scan_0000" / "reconstruction.cxi")).save(tmp_path / "page.html")
    said = []
    tab = browser.new_page(viewport={"width": 800, "height": 900})
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    tab.goto(path.as_uri())
    tab.wait_for_selector(".viewer[data-ready]")
    assert tab.locator(".slice canvas").count() == 3
    tab.close()
    assert said == []
    shutil.rmtree(tmp_path, ignore_errors=True)
