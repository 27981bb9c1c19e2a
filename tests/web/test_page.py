"""The page in a real browser: no errors, the ledger's own numbers, and what a click or a slider asks for."""

import threading
import time

import pytest

expect = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed").expect
WIDTHS = {"phone": (360, 780), "laptop": (1440, 900), "control room": (3840, 2160)}


@pytest.fixture
def opened(browser, page, display):
    """Give a page that is open and hears a snapshot every tenth of a second, and what its console says."""
    said, stop, current = [], threading.Event(), {}

    def show():
        while not stop.wait(0.1):
            display.show(current["make"]())

    def start(make, size=WIDTHS["laptop"], scheme="light"):
        current["make"] = make
        tab = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        current["thread"] = threading.Thread(target=show)
        current["thread"].start()
        tab.goto(page.url)
        tab.wait_for_selector(f"body[data-mode='{make().mode}'] #ledger dd", timeout=20_000)
        current["tab"] = tab
        return tab, said, current

    yield start
    stop.set()
    current["thread"].join()
    current["tab"].close()


def _plain(text):
    return int(text.split("\n")[0].replace(",", ""))


@pytest.mark.parametrize("size", WIDTHS.values(), ids=WIDTHS.keys())
@pytest.mark.parametrize("what", ["hits", "crystal"])
def test_it_fits_every_screen_without_a_word_on_the_console(opened, request, size, what):
    tab, said, _ = opened(request.getfixturevalue(what), size, "dark" if size[0] < 1000 else "light")
    tab.wait_for_timeout(300)
    assert said == []
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    for name in ("h-ledger", "rate", "pill"):
        assert tab.locator(f"#{name}").is_visible()


def test_the_numbers_on_the_page_are_the_ledger_s(opened, hits, ledger):
    tab, _, _ = opened(hits)
    for name in ("seen", "processed", "dropped", "late", "duplicate", "malformed", "waiting"):
        assert _plain(tab.inner_text(f"dd[data-count='{name}']")) == getattr(ledger, name)
    assert "the queue was full: 200" in tab.inner_text("#ledger")
    assert "33 numbered by the source and never seen" in tab.inner_text("#beside")
    assert tab.inner_text("#rate") == "2,143"
    assert tab.inner_text("#selected") == "1,432"
    assert tab.inner_text("#latency") == "34 ms"
    assert tab.locator(".row.singles figure").count() == 8
    assert tab.locator(".row.singles figcaption b").first.inner_text() == "0.99"


def test_threshold_and_pause_reach_the_watch_and_come_back(opened, hits, display):
    tab, _, current = opened(hits)
    # In one go: the page itself moves the slider to the threshold in force with every snapshot.
    tab.evaluate("""() => {
        const slider = document.getElementById("slider");
        slider.value = 0.6;
        for (const name of ["input", "change"]) slider.dispatchEvent(new Event(name));
    }""")
    tab.click("#pause")
    end = time.monotonic() + 10
    while display.control().threshold != 0.6 or not display.control().paused:
        assert time.monotonic() < end
        time.sleep(0.02)
    current["make"] = lambda: hits(threshold=display.control().threshold, selected=5000, paused=True)
    expect(tab.locator("#selected")).to_have_text("5,000", timeout=20_000)
    expect(tab.locator("#threshold")).to_have_text("from a probability of 0.60", timeout=20_000)
    assert tab.locator("#scores .kept").count() == 8
    assert tab.inner_text("#pause") == "Go on"
    tab.click("#plain")
    end = time.monotonic() + 10
    while display.control().threshold is not None:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_it_says_clearly_when_the_source_is_silent(opened, hits):
    tab, _, _ = opened(lambda: hits(state="silent"))
    tab.wait_for_selector("#alarm:not([hidden])")
    assert "The source is silent." in tab.inner_text("#alarm")
    assert tab.inner_text("#pill") == "silent"


def test_a_crystal_is_drawn_and_turns_and_its_report_is_a_click_away(opened, crystal):
    tab, said, current = opened(crystal)
    tab.wait_for_selector("#nosurface", state="hidden")
    assert tab.inner_text("#label") == "46 of 64 frames, provisional"
    assert tab.locator("#slices canvas").count() == 6
    before = tab.evaluate("document.getElementById('surface').toDataURL()")
    tab.focus("#surface")
    tab.keyboard.press("ArrowLeft")
    tab.wait_for_timeout(100)
    assert tab.evaluate("document.getElementById('surface').toDataURL()") != before
    assert tab.locator("#report").is_hidden()
    current["make"] = lambda: crystal(report="001_scan/report.html")
    tab.wait_for_selector("#report", state="visible")
    with tab.expect_popup() as popup:
        tab.click("#report")
    popup.value.wait_for_load_state()
    assert popup.value.title() == "the report"
    popup.value.close()
    assert said == []
