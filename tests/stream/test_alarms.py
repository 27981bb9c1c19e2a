"""What the webhook is told, and when; and the metrics' format."""

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from friedel.core.errors import PlanError
from friedel.stream.alarms import AlarmOptions, Alarms
from friedel.stream.ledger import LedgerCounts
from friedel.stream.snapshot import Snapshot, SourceState
from friedel.web.metrics import health, metrics_text, readiness


@pytest.fixture
def hook():
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", posted
    server.shutdown()
    server.server_close()
    thread.join()


def _snapshot(state="live", processed=0, selected=0):
    view = type("View", (), {"selected": selected})()
    counts = LedgerCounts(seen=processed, processed=processed)
    return Snapshot(mode="hits", taken=0.0, source=SourceState(name="x://", state=state), ledger=counts, view=view)


def test_each_alarm_is_told_once_and_its_end_too(hook, tmp_path):
    url, posted = hook
    options = AlarmOptions(webhook=url, hit_rate_below=0.1, least_frames=10, disk_free_mb=1)
    alarms = Alarms(options, tmp_path, pytest.fail)
    for snapshot in (
        _snapshot(), _snapshot("silent"), _snapshot("silent"), _snapshot(), _snapshot(processed=100, selected=1),
        _snapshot(processed=200, selected=101),
    ):  # fmt: skip
        alarms.look(snapshot)
    alarms.close()
    told = [(post["alarm"], post["over"]) for post in posted]
    assert told == [("source", False), ("source", True), ("hit rate", False), ("hit rate", True)]
    assert posted[2]["text"] == "1.00% of the last 100 frames"
    assert posted[2]["ledger"]["processed"] == 100


def test_a_webhook_that_nobody_answers_is_said_and_waited_for_by_nobody(tmp_path):
    said = []
    alarms = Alarms(AlarmOptions(webhook="http://127.0.0.1:9/"), tmp_path, said.append)
    alarms.look(_snapshot("lost"))
    alarms.close()
    assert "can't be told" in said[0].text


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://x", "localhost", ""])
def test_only_web_addresses_are_posted_to(address):
    with pytest.raises(PlanError):
        AlarmOptions.read({"webhook": address}, origin="plan")


FIGURES = {
    "state": {
        "taken": 1000.0, "source": {"state": "live", "reason": ""}, "frames_per_s": 12.5, "paused": False,
        "ledger": LedgerCounts(
            seen=10, processed=7, dropped=1, malformed=2, dropped_why={"overload": 1}, malformed_why={'a "b"\n': 2}
        ).as_dict(),
    },
    "rates": {"selected": 3},
}  # fmt: skip


def test_the_metrics_are_in_prometheus_format_and_hold_the_ledger():
    text = metrics_text(FIGURES, now=1001.0)
    sample = re.compile(r'^friedel_[a-z_]+(\{[a-z]+="(?:[^"\\\n]|\\.)*"(,[a-z]+="(?:[^"\\\n]|\\.)*")*\})? [-+0-9.e]+$')
    lines = text.splitlines()
    assert all(line.startswith(("# HELP friedel_", "# TYPE friedel_")) or sample.match(line) for line in lines)
    assert 'friedel_frames_total{place="processed"} 7' in lines
    assert r'friedel_frames_malformed_by_reason_total{reason="a \"b\"\n"} 2' in lines
    assert "friedel_up 1" in lines
    assert "friedel_hits_total 3" in lines
    assert "friedel_up 0" in metrics_text({}, now=0.0)


def test_health_is_the_loop_s_and_readiness_the_source_s():
    silent = {"state": FIGURES["state"] | {"source": {"state": "silent", "reason": "nothing came"}}}
    assert health(FIGURES, 1001.0) == (True, "ok")
    assert not health(FIGURES, 1020.0)[0]
    assert not health(FIGURES, 900.0)[0], "a clock set back makes no dead watch healthy"
    assert readiness(FIGURES, 1001.0)[0]
    assert readiness(silent, 1001.0) == (False, "the source is silent: nothing came")
    assert health(silent, 1001.0)[0]
    assert not readiness({}, 1001.0)[0]
