"""The server by plain requests: no foreign socket, no path outside the run, a token elsewhere, no wait for anybody."""

import asyncio
import socket
import time

import aiohttp
import pytest

from friedel.core.errors import InputError
from friedel.web.options import ServeOptions
from friedel.web.page import Page


def _status(page, path="/", **headers):
    async def get():
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{page.port}{path}", headers=headers, allow_redirects=False) as answer,
        ):
            return answer.status, await answer.text()

    return asyncio.run(get())


def _raw(page, path):
    """Ask for a path exactly as written: clients tidy dots away."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=5) as opened:
        opened.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{page.port}\r\nConnection: close\r\n\r\n".encode())
        parts = []
        while data := opened.recv(65536):
            parts.append(data)
    return b"".join(parts)


def _ends(connection):
    """Say whether a connection is over once what was under way has been read."""
    try:
        while connection.recv(1 << 20):
            pass
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    return True


def test_the_page_and_the_run_s_reports_are_served(page):
    assert _status(page)[0] == 200
    assert "final" in _status(page, "/run/001_scan/report.html")[1]


@pytest.mark.parametrize(
    "path",
    [
        "/run/../secret.html", "/run/%2e%2e/secret.html", "/run/..%2fsecret.html", "/run//etc/passwd",
        "/run/%2fetc%2fpasswd", "/static/../page.py", "/static/%2e%2e/page.py",
        "/run/001_scan/%2e%2e/%2e%2e/secret.html",
        "/run/", "/etc/passwd", "/static/page.html",
    ],
)  # fmt: skip
def test_no_path_outside_the_run_folder_is_served(page, path):
    answer = _raw(page, path)
    assert answer.split(b"\r\n")[0].split()[1] in (b"403", b"404")
    assert b"secret" not in answer.split(b"\r\n\r\n", 1)[1]


def test_another_name_for_this_machine_is_refused_on_loopback(page):
    assert _status(page, "/", Host="evil.example")[0] == 403


def test_sockets_of_other_sites_are_refused(page):
    async def connect(origin):
        url, headers = f"http://127.0.0.1:{page.port}/socket", {"Origin": origin}
        async with aiohttp.ClientSession() as session, session.ws_connect(url, headers=headers):
            return True

    with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
        asyncio.run(connect("http://evil.example"))
    assert asyncio.run(connect(f"http://127.0.0.1:{page.port}"))


def test_nonsense_from_a_viewer_changes_nothing(page, display):
    async def talk():
        url = f"http://127.0.0.1:{page.port}/socket"
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as opened:
            for text in ("[]", "{", '{"threshold": "many"}', '{"threshold": 7}'):
                await opened.send_str(text)
            await asyncio.sleep(0.5)

    asyncio.run(talk())
    assert display.control().threshold == 1.0  # the only one with a number in it, brought into range


def test_every_viewer_gets_the_latest_and_only_what_changed(page, display, hits):
    async def look():
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{page.port}/socket"
            async with session.ws_connect(url, max_msg_size=0) as one, session.ws_connect(url, max_msg_size=0) as two:
                first = [await viewer.receive_json() for viewer in (one, two)]
                display.show(hits(selected=7777))
                second = await one.receive_json()
                return first, second

    display.show(hits())
    time.sleep(0.5)
    (first, other), second = asyncio.run(look())
    assert first.keys() == other.keys() == {"state", "rates", "gallery", "powder"}
    assert second["rates"]["selected"] == 7777
    assert "gallery" not in second


def test_a_viewer_that_never_reads_is_dropped_and_others_are_served(page, display, hits):
    key = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect(("127.0.0.1", page.port))
    deaf.sendall(f"GET /socket HTTP/1.1\r\nHost: localhost:{page.port}\r\n{key}\r\n".encode())
    slowest = 0.0
    large = [hits(powder=1700, seed=seed) for seed in range(2)]  # more than the kernel's buffers hold
    for turn in range(7):
        began = time.monotonic()
        display.show(large[turn % 2])
        slowest = max(slowest, time.monotonic() - began)
        time.sleep(0.6)
    time.sleep(1.5)
    assert _status(page)[0] == 200
    assert slowest < 1.0
    deaf.settimeout(40)  # the page gives way to whatever else the machine does
    with deaf:
        assert _ends(deaf)


def test_on_other_addresses_a_token_is_needed(display):
    with Page(display.names, ServeOptions(host="0.0.0.0", port=0)) as open_page:
        token = open_page.options.token
        assert f"?token={token}" in open_page.url
        assert _status(open_page)[0] == 403
        assert _status(open_page, "/static/page.js")[0] == 403
        assert _status(open_page, "/socket")[0] == 403
        assert _status(open_page, "/?token=wrong")[0] == 403
        assert _status(open_page, f"/?token={token}")[0] == 302
        assert _status(open_page, "/", Cookie=f"friedel_token={token}")[0] == 200


def test_a_taken_port_is_said_to_be_taken(page, display):
    with pytest.raises(InputError, match="choose another port with --port"):
        Page(display.names, ServeOptions(port=page.port))


def test_monitoring_gets_figures_health_and_readiness(page, display, hits):
    display.show(hits())
    status, text = _status(page, "/metrics")
    assert status == 200
    assert 'friedel_frames_total{place="processed"} 12000' in text
    assert "friedel_hits_total 1432" in text
    assert _status(page, "/health") == (200, "ok\n")
    assert _status(page, "/ready")[0] == 200
    display.show(hits(state="silent"))
    assert _status(page, "/ready")[0] == 503


def test_elsewhere_monitoring_gives_the_token_in_a_header(display):
    with Page(display.names, ServeOptions(host="0.0.0.0", port=0)) as open_page:
        assert _status(open_page, "/metrics")[0] == 403
        assert _status(open_page, "/metrics", Authorization=f"Bearer {open_page.options.token}")[0] == 200
        assert _status(open_page, "/metrics", Authorization="Bearer wrong")[0] == 403
        assert _status(open_page, "/health")[0] == 200
